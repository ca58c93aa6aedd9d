"""Schedules as a person writes them, and what is said of a file that cannot be worked with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from service.errors import BadInput, UnknownName
from service.schedules import Schedule, read_schedules

NIGHTLY = """
[[schedule]]
name = "nightly"
flow = "measure-layers"
cron = "0 3 * * *"
timezone = "Europe/London"
[schedule.parameters]
model = "runs/my-training"
sample = 512

[[schedule]]
name = "often"
flow = "measure-layers"
interval = "6h"
"""


def written(folder: Path, text: str) -> Path:
    """The text as a file of schedules."""
    (folder / "isoscope.toml").write_text(text)
    return folder / "isoscope.toml"


def test_schedules_are_read_with_their_times_and_parameters(tmp_path: Path) -> None:
    nightly, often = read_schedules(written(tmp_path, NIGHTLY))
    assert nightly == Schedule(
        "nightly",
        "measure-layers",
        cron="0 3 * * *",
        timezone="Europe/London",
        parameters={"model": "runs/my-training", "sample": 512},
    )
    assert (often.interval, often.timezone, often.parameters) == (timedelta(hours=6), "UTC", {})
    assert [nightly.when, often.when] == ["cron 0 3 * * * (Europe/London)", "every 6:00:00"]


def test_a_folder_without_a_file_has_no_schedules_but_a_named_file_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_schedules() == ()
    with pytest.raises(BadInput, match=r"elsewhere.toml cannot be read: No such file"):
        read_schedules(Path("elsewhere.toml"))
    written(tmp_path, NIGHTLY)
    assert len(read_schedules()) == 2


@pytest.mark.parametrize("unit", [("90s", 90), ("5m", 300), ("6 h", 21600), ("1d", 86400)])
def test_an_interval_is_a_number_and_a_unit(tmp_path: Path, unit: tuple[str, int]) -> None:
    (schedule,) = read_schedules(written(tmp_path, f'[[schedule]]\nname="a"\nflow="f"\ninterval="{unit[0]}"'))
    assert schedule.interval == timedelta(seconds=unit[1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[schedule]]\nname = "a"\nflow =', r"is no TOML: Invalid value \(at (end of document|line 3)"),
        ('[[schedules]]\nname = "a"', r"unknown table 'schedules': did you mean 'schedule'"),
        ('[schedule]\nname = "a"', r"\[\[schedule\]\], with two brackets"),
        ('[[schedule]]\nflow = "f"\ncron = "* * * * *"', "schedule 1: it needs a name"),
        ('[[schedule]]\nname = "a"\ncron = "* * * * *"', "schedule 1 'a': it needs a flow"),
        ('[[schedule]]\nname = "a"\nflow = "f"', "schedule 1 'a': it needs either .* got neither"),
        ('[[schedule]]\nname = "a"\nflow = "f"\ncron = "* * * * *"\ninterval = "1h"', "got both"),
        ('[[schedule]]\nname = "a"\nflow = "f"\ncrom = "* * * * *"', "unknown key 'crom': did you mean 'cron'"),
        ('[[schedule]]\nname = "a"\nflow = "f"\ninterval = "6 fortnights"', "got '6 fortnights'"),
        ('[[schedule]]\nname = "a"\nflow = "f"\ninterval = "0h"', "above 0 .* got '0h'"),
        ('[[schedule]]\nname = "a"\nflow = "f"\ninterval = 6', "interval needs a text; got 6"),
        (
            '[[schedule]]\nname = "a"\nflow = "f"\ninterval = "1h"\ntimezone = "Europe/Londn"',
            "unknown timezone 'Europe/Londn': did you mean 'Europe/London'",
        ),
        ('[[schedule]]\nname = "a"\nflow = "f"\ninterval = "1h"\nparameters = "x"', r"a table \[schedule.parameters\]"),
        ('[[schedule]]\nname = "a"\nflow = "f"\ninterval = "1h"\n' * 2, "two schedules are named 'a'"),
    ],
)
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_schedules(written(tmp_path, text))
    assert "isoscope.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        read_schedules(written(tmp_path, '[[schedule]]\nname = "a"\nflow = "f"\ncrom = "* * * * *"'))
