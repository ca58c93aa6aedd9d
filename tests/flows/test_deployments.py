"""What would be served: checked against the flows themselves, before any server is asked."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from command_process import CommandProcess
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from flows.deployments import SERVED, deployments
from flows.serving import Service, serve
from service.cli import app
from service.errors import BadInput, IsoscopeError, UnknownName
from service.schedules import Schedule
from service.settings import Settings


def scheduled(**other: Any) -> Schedule:
    """A good schedule, but for what is given."""
    good = {"name": "nightly", "flow": "measure-layers", "cron": "0 3 * * *", "parameters": {"model": "m"}}
    return Schedule(**{**good, **other})


def test_every_served_flow_is_a_deployment_that_any_folder_can_run(tmp_path: Path) -> None:
    made = deployments(Settings(store=tmp_path), "isoscope", [scheduled()])
    assert [one.flow_name for one in made] == [flow.name for flow in SERVED]
    assert all(":" not in str(one.entrypoint) for one in made)  # a module's name, not a file's
    (measure,) = [one for one in made if one.flow_name == "measure-layers"]
    assert measure.parameters["store"] == str(tmp_path)
    assert [(one.slug, one.parameters) for one in measure.schedules] == [("nightly", {"model": "m"})]


def test_an_interval_does_not_shift_with_the_hour_at_which_the_service_starts(tmp_path: Path) -> None:
    every_six_hours = scheduled(cron=None, interval=timedelta(hours=6))
    for _ in range(2):
        (measure,) = deployments(Settings(store=tmp_path), "isoscope", [every_six_hours])[:1]
        assert measure.schedules[0].schedule.anchor_date.isoformat() == "2024-01-01T00:00:00+00:00"


def test_the_run_form_has_a_line_for_each_parameter_and_takes_no_other() -> None:
    for made in deployments(Settings(), "isoscope", []):
        schema = made._parameter_openapi_schema.model_dump()
        assert schema["additionalProperties"] is False
        lacking = [name for name, field in schema["properties"].items() if not field.get("description")]
        assert lacking == [], made.flow_name


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"flow": "measure-layer"}, UnknownName, "schedule 'nightly': 'measure-layer': did you mean 'measure-layers'"),
        ({"cron": "0 25 * * *"}, BadInput, "schedule 'nightly': cron needs five fields .* got '0 25 \\* \\* \\*'"),
        ({"parameters": {}}, BadInput, "schedule 'nightly': .*'model' is a required property"),
        ({"parameters": {"model": "m", "sampel": 5}}, UnknownName, "'sampel': did you mean 'sample'"),
        ({"parameters": {"model": "m", "sample": "many"}}, BadInput, "field 'sample'.*'many' is not valid"),
        ({"parameters": {"model": "m", "sample": 3}}, BadInput, "field 'sample'.*3 is less than the minimum of 16"),
        ({"parameters": {"model": "m", "layers": [-1]}}, BadInput, "layers.*-1 is less than the minimum of 0"),
        ({"parameters": {"model": "m", "store": "/else"}}, BadInput, "set by ISOSCOPE_STORE: leave it out"),
    ],
)
def test_a_schedule_that_its_flow_would_refuse_is_refused_at_the_start(
    tmp_path: Path, wrong: dict[str, Any], error: type[BadInput], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        deployments(Settings(store=tmp_path), "isoscope", [scheduled(**wrong)])
    assert "\n" not in str(caught.value)


def test_check_prints_what_would_be_served_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "isoscope.toml").write_text(
        '[[schedule]]\nname = "nightly"\nflow = "measure-layers"\ncron = "0 3 * * *"\nparameters = {model = "m"}'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOSCOPE_STORE", "store")
    done = CliRunner().invoke(app, ["serve", "--check", "--json"])
    assert json.loads(done.stdout)[0] == {
        "deployment": "measure-layers/isoscope",
        "schedule": "nightly",
        "when": "cron 0 3 * * * (UTC)",
        "parameters": {"model": "m"},
    }
    assert "cron 0 3 * * * (UTC)" in CliRunner().invoke(app, ["serve", "--check"]).stdout
    assert not (tmp_path / "store").exists()


def test_options_that_do_not_go_together_are_refused() -> None:
    for arguments, said in ((["--port", "4300"], "--with-server"), (["--json"], "--check")):
        done = CliRunner().invoke(app, ["serve", *arguments])
        assert done.exit_code == 1
        assert said in done.stderr


def test_without_a_server_both_ways_to_have_one_are_said_in_one_line(tmp_path: Path) -> None:
    own = {"PREFECT_HOME": str(tmp_path / "prefect"), "ISOSCOPE_STORE": str(tmp_path / "store")}
    with CommandProcess("serve", unset="PREFECT_", **own) as done:
        done.wait()
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "--with-server" in line
    assert "prefect server start" in line


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/api"
    said = f"the Prefect server at {nobody} does not answer"
    with temporary_settings({PREFECT_API_URL: nobody}), pytest.raises(IsoscopeError, match=said) as caught:
        serve(Service(Settings(store=tmp_path / "store"), []), print)
    assert "\n" not in str(caught.value)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(BadInput, match=rf"port {port} of 127.0.0.1 is taken"):
            serve(Service(Settings(store=tmp_path / "store"), [], port=port), print)
