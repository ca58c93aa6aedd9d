"""Networks that are small and really trained, once a session, and shared by every test that needs one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jaxtyping import install_import_hook
from s3_server import S3Server, running_s3_server

import service  # noqa: F401  before torch: it says how threads wait

os.environ["HF_HUB_OFFLINE"] = "1"
workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))  # also of what the tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: its children would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
install_import_hook("service.measures", "beartype.beartype")  # before any test module imports a measure


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that mostly wait for others, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_object_stores.py", "test_killed_writers.py"))


@pytest.fixture(scope="session", autouse=True)
def tables_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each new store of this process begins with a copy of one database that the migrations have made: they take most of a
    second, and have tests of their own."""
    from service.storage import database

    made, make_tables = tmp_path_factory.mktemp("tables") / "isoscope.duckdb", database.make_tables

    def copied(path: Path, patience: object) -> None:
        if not made.exists():
            make_tables(made, patience)
        shutil.copyfile(made, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "make_tables", copied)
        yield


@pytest.fixture(scope="session")
def networks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's networks lie, those of all its processes: each is trained by whoever needs it first."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "networks"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def training_alone(folder: Path) -> Iterator[None]:
    """Nobody else trains the network of that folder meanwhile."""
    from service.storage.locking import Patience, exclusive

    with exclusive(folder.with_suffix(".lock"), Patience(240)):
        yield


def trained(objective: str, folder: Path, vocabulary: int = 400) -> Path:
    """Checkpoints of a small network that learned the language reference for 64 steps, as ordinary folders."""
    from service.networks.text_sources import python_reference
    from service.networks.training import Recipe, small_decoder, small_encoder, train, train_tokenizer

    texts = python_reference().texts
    tokenizer = train_tokenizer(texts[:40], vocabulary, objective)
    build = small_decoder if objective == "causal" else small_encoder
    recipe = Recipe(64, (0, 1, 16, 64), objective, batch=8, length=64, learning_rate=3e-3, warmup=5)
    with training_alone(folder):
        return train(build(32, 3, len(tokenizer)), tokenizer, texts[:80], folder, recipe)


@pytest.fixture(scope="session")
def decoder_folder(networks_folder: Path) -> Path:
    """A GPT-NeoX of width 32 and 3 layers: ``step0``, ``step1``, ``step16``, ``step64``."""
    return trained("causal", networks_folder / "tiny-decoder")


@pytest.fixture(scope="session")
def encoder_folder(networks_folder: Path) -> Path:
    """A masked-language ModernBERT of width 32 and 3 layers, with the same steps."""
    return trained("masked", networks_folder / "tiny-encoder")


@pytest.fixture(scope="session")
def byte_folder(networks_folder: Path) -> Path:
    """A decoder like `decoder_folder` that reads bytes: its tokenizer has no token longer than one."""
    return trained("causal", networks_folder / "tiny-bytes", 257)


@pytest.fixture(scope="session")
def vision_folder(networks_folder: Path) -> Path:
    """A vision transformer of width 32 and 3 layers that learned scikit-learn's digits: ``step0``, ``step200``."""
    from service.networks.datasets import open_dataset
    from service.networks.image_training import ImageRecipe, small_vision_network, train_images

    digits = open_dataset("digits:train")
    module, processor = small_vision_network(32, 3, classes=10)
    folder = networks_folder / "tiny-vision"
    recipe = ImageRecipe(steps=200, save_steps=(0, 200))
    with training_alone(folder):
        return train_images(module, processor, digits, digits.column("label"), digits.item_ids, folder, recipe)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real server that speaks S3, on loopback."""
    with running_s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """That server in the environment, with a folder for the database."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ISOSCOPE_DATABASE", str(tmp_path / "database"))
    return s3_server
