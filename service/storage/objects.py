"""An object store as a place for summaries and ledger: folders that are only the beginnings of names.

An object appears whole or not at all, when its upload is completed; until then nobody sees anything of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from service.errors import BadInput, StoreUnreachable


@dataclass(frozen=True)
class ObjectPath:
    """A place in the bucket of the store at `url`: what `path` names there, an object or the beginning of such names.

    It is asked like a ``pathlib.Path``, which is why the same code serves a folder and a bucket.
    """

    url: str
    path: str = ""

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.url, f"{self.path}/{name}" if self.path else name)

    def __str__(self) -> str:
        return f"{location(self.url)}/{self.path}" if self.path else location(self.url)

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]

    def is_file(self) -> bool:
        """Whether there is such an object. Raises StoreUnreachable."""
        return self._type() == fs.FileType.File

    def is_dir(self) -> bool:
        """Whether there are objects below it. Raises StoreUnreachable."""
        return self._type() == fs.FileType.Directory

    def _type(self) -> fs.FileType:
        filesystem, base = _opened(self.url)
        with _naming_faults(self.url):
            return filesystem.get_file_info(f"{base}/{self.path}".rstrip("/")).type

    def read_bytes(self) -> bytes:
        """The whole object. Raises FileNotFoundError, StoreUnreachable."""
        filesystem, base = _opened(self.url)
        with _naming_faults(self.url), filesystem.open_input_file(f"{base}/{self.path}") as stream:
            return bytes(stream.readall())

    def write_bytes(self, body: bytes) -> None:
        """Put the whole object there; a writer that dies or fails on the way leaves what was there. Raises StoreUnreachable."""
        filesystem, base = _opened(self.url)
        with _naming_faults(self.url):
            # all of it in one call: where that fails the closing fails too, and nothing is completed
            stream = filesystem.open_output_stream(f"{base}/{self.path}")
            stream.write(body)
            stream.close()

    def remove(self) -> None:
        """Delete every object below it. Raises StoreUnreachable."""
        filesystem, base = _opened(self.url)
        with _naming_faults(self.url):
            filesystem.delete_dir(f"{base}/{self.path}")

    def listing(self, deep: bool = True) -> list[fs.FileInfo]:
        """What lies below it, at any depth or just below. Raises StoreUnreachable."""
        filesystem, base = _opened(self.url)
        selector = fs.FileSelector(f"{base}/{self.path}".rstrip("/"), allow_not_found=True, recursive=deep)
        with _naming_faults(self.url):
            return list(filesystem.get_file_info(selector))

    def relative(self, found: fs.FileInfo) -> str:
        """The name of something in a listing of this place, below it."""
        _, base = _opened(self.url)
        return str(found.path).removeprefix(f"{base}/{self.path}".rstrip("/")).lstrip("/")

    def which_are_files(self, names: Sequence[str]) -> set[str]:
        """Those of these names below it that are objects, asked side by side. Raises StoreUnreachable."""
        filesystem, base = _opened(self.url)
        with _naming_faults(self.url):
            found = filesystem.get_file_info([f"{base}/{self.path}/{name}" for name in names])
        return {name for name, info in zip(names, found, strict=True) if info.type == fs.FileType.File}


def age(found: fs.FileInfo) -> float:
    """Seconds since an object was put there, by its server's clock and ours."""
    return (datetime.now(UTC) - found.mtime).total_seconds() if found.mtime else 0.0


def location(url: str) -> str:
    """The URL without its parameters: what the store is called, and what must not change."""
    return url.partition("?")[0].rstrip("/")


def refuse_url(url: str) -> None:
    """Raise BadInput unless this is the URL of an object store that Isoscope can use."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname:
        raise BadInput(f"a store is a folder or a URL such as s3://bucket/prefix; got {url!r}")
    if parts.username or parts.password:
        raise BadInput(
            "the store's URL holds credentials, which would show in logs: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )


def refuse_unreachable(url: str) -> None:
    """Raise StoreUnreachable unless the bucket answers and is there."""
    filesystem, base = _opened(url)
    bucket = base.partition("/")[0]
    with _naming_faults(url):
        there = filesystem.get_file_info(bucket).type
        if there == fs.FileType.NotFound:
            raise StoreUnreachable(f"the store {location(url)} has no bucket {bucket}: make it, or mend ISOSCOPE_STORE")
        filesystem.get_file_info(
            fs.FileSelector(base, allow_not_found=True)
        )  # a bucket can be seen that cannot be listed


@cache
def _opened(url: str) -> tuple[fs.FileSystem, str]:
    """The file system of a store's URL and where in it the store begins; one for each process."""
    try:
        return fs.FileSystem.from_uri(url)
    except (OSError, pa.ArrowException) as error:
        raise StoreUnreachable(_said(url, error)) from error


@contextmanager
def _naming_faults(url: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise StoreUnreachable(_said(url, error)) from error


def _said(url: str, error: Exception) -> str:
    """What went wrong with the object store, without the request's number."""
    reason = re.sub(r"\s*\(Request ID: [^)]*\)", "", " ".join(str(error).split()))
    reason = reason[reason.find("AWS Error") :] if "AWS Error" in reason else reason
    return (
        f"the store {location(url)} cannot be reached: {reason.rstrip('.')}; see that the server answers, "
        "AWS_ENDPOINT_URL, and the credentials"
    )
