"""The automation of docs/operations.md, made on a real server, reacts to a real spike with a real message."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.events.schemas.automations import AutomationCore
from service_process import until

from flows.events import spike_seen
from service.storage.database import Store

ROOT = Path(__file__).parents[2]
SPIKE = {"model": "my-training", "step": 80, "last_step": 81, "expected": 2.0, "sigma": 0.1, "highest_loss": 9.5}


@contextmanager
def listener(received: list[dict[str, str]]) -> Iterator[str]:
    """An address on loopback that keeps what is posted to it."""

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Keep) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_automation_in_the_docs_is_taken_by_a_server_and_sends_a_message_when_a_spike_is_seen(
    prefect_server: str, tmp_path: Path
) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL)
    received: list[dict[str, str]] = []
    with listener(received) as address:
        block = CustomWebhookNotificationBlock(
            name="messages", url=address, json_data={"subject": "{{subject}}", "body": "{{body}}"}
        )
        block_id = block.save("messages", overwrite=True)
        automation = yaml.safe_load(example.replace("00000000-0000-0000-0000-000000000000", str(block_id)))
        AutomationCore.model_validate(automation)  # what `prefect automation create` does with the file
        made = httpx.post(f"{prefect_server}/automations/", json=automation, timeout=30)
        assert made.status_code == 201, made.text
        spike_seen(Store(tmp_path), SPIKE | {"model": "another"})
        steps = itertools.count(80)

        def a_message_of_a_spike() -> bool:
            """SQLite may be busy with something else, and the server then lets a message go: there is a next spike."""
            spike_seen(Store(tmp_path), SPIKE | {"step": next(steps)})
            deadline = time.monotonic() + 3
            while not received and time.monotonic() < deadline:
                time.sleep(0.05)
            return bool(received)

        until(a_message_of_a_spike, "the message")
    assert all(re.fullmatch(r"at step \d+: 9.5, expected 2.0", one["body"]) for one in received), received
    assert all("Loss spike in my-training" in one["subject"] for one in received), received
