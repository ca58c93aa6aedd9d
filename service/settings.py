"""Where things lie and how long to wait: read once, from the environment (``ISOSCOPE_*``)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The service's settings. Every field is an environment variable ``ISOSCOPE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ISOSCOPE_", frozen=True)

    store: Path = Field(Path("isoscope-store"), description="the folder of the database, the summaries and the ledger")
    lock_wait: float = Field(60.0, ge=0, description="seconds to wait for a busy database before giving up")
    device: str = Field("auto", description="cuda, cpu, or auto: CUDA where there is one")
