"""A way to a Prefect server that can be cut: whoever goes by it then finds no server there, for good."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Link:
    """An address of its own, `api`, at which the server of another answers until it is cut."""

    def __init__(self, api: str) -> None:
        there = urlsplit(api)
        self._server = str(there.hostname), int(there.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._ends = [self._listening]
        self.api = f"http://127.0.0.1:{self._listening.getsockname()[1]}{there.path}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Close it, and every connection that goes by it."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._ends.append(client)
                server = socket.create_connection(self._server)
                self._ends.append(server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while sent := source.recv(65536):
            target.sendall(sent)
    with suppress(OSError):  # also where the source was reset, for which the target would wait until it gives up
        target.shutdown(socket.SHUT_WR)
