"""A real server that speaks S3, on loopback: it checks signatures, and its buckets live as long as it does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

import boto3

EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and the environment of whoever may use it."""

    endpoint: str
    environment: dict[str, str] = field(repr=False)

    def client(self):
        """An independent client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )

    def new_bucket(self) -> str:
        """The name of an empty bucket of its own."""
        name = f"bucket-{uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects in a bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


@contextmanager
def running_s3_server() -> Iterator[S3Server]:
    """The server, with one user who may do everything; anybody else is refused."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _wait_for(endpoint, child)
        yield S3Server(endpoint, {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", **_only_user(endpoint)})
    finally:
        child.kill()
        child.wait()


def _wait_for(endpoint: str, child: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=5).close()
            return
        except OSError:
            assert child.poll() is None, "the S3 server ended"
            time.sleep(0.1)
    raise AssertionError("the S3 server does not answer")


def _only_user(endpoint: str) -> dict[str, str]:
    """The credentials of a new user who may do everything; from here on nobody is served without."""
    iam = boto3.client(
        "iam", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1"
    )
    iam.create_user(UserName="isoscope")
    iam.put_user_policy(UserName="isoscope", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    key = iam.create_access_key(UserName="isoscope")["AccessKey"]
    ask = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urllib.request.urlopen(ask, timeout=5).close()
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


class Gate:
    """A way to the server that lets so many bytes of a connection through and no more: then it waits, or cuts it off."""

    def __init__(self, endpoint: str, let_through: int, cut: bool = False) -> None:
        host, port = endpoint.removeprefix("http://").split(":")
        self._server, self._most, self._cut = (host, int(port)), let_through, cut
        self.reached, self.opened = threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:{1}".format(*self._listening.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.set()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                for pump in (self._inwards, self._outwards):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _inwards(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while sent := client.recv(65536):
                passed += len(sent)
                if passed > self._most and not self.opened.is_set():
                    self.reached.set()
                    if self._cut:
                        break
                    self.opened.wait()
                server.sendall(sent)
        _close(client, server)

    def _outwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while answered := server.recv(65536):
                client.sendall(answered)
        _close(client, server)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
