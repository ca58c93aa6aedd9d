"""Where things lie and how long to wait: read once, from the environment (``ISOSCOPE_*``)."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

URL = re.compile(r"^([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)


def store_place(given: str | Path) -> str | Path:
    """A store's place as it was named: the URL of an object store as text, a folder as a path.

    A URL that went through a ``Path`` on its way, which takes one of its slashes away, is one still.
    """
    scheme = URL.match(str(given))
    return URL.sub(f"{scheme[1].lower()}://", str(given), count=1) if scheme else Path(given)


class Settings(BaseSettings):
    """The service's settings. Every field is an environment variable ``ISOSCOPE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ISOSCOPE_", frozen=True)

    store: Path | str = Field(
        Path("isoscope-store"), description="the folder of the database, the summaries and the ledger, or an s3:// URL"
    )
    database: Path | None = Field(None, description="the local folder of the database, where the store is a URL")
    lock_wait: float = Field(60.0, ge=0, description="seconds to wait for a busy database before giving up")
    device: str = Field("auto", description="cuda, cpu, or auto: CUDA where there is one")

    @field_validator("store", mode="before")
    @classmethod
    def _as_place(cls, given: str | Path) -> str | Path:
        return store_place(given)

    @property
    def store_name(self) -> str:
        """The store as every process names it, whatever its working folder: a URL, or a folder in full."""
        return self.store if isinstance(self.store, str) else str(self.store.resolve())
