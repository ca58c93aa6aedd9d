"""Imports only point down, and every third party stays in its room; read from the sources, without importing them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = {"results", "edit_results", "subjects", "errors", "settings"}
SIBLINGS = {"networks", "storage", "measures"}
# which rooms a room's imports may point to, beside itself
MAY_IMPORT = {
    "cli": {"flows", "report", "schedules", "training_monitor", "experiments", *SIBLINGS, *BASE},
    "flows": {"report", "schedules", "training_monitor", "experiments", *SIBLINGS, *BASE},
    "schedules": {"errors"},
    "report": {"measures", *BASE},
    "training_monitor": {"experiments", *SIBLINGS, *BASE},
    "experiments": {*SIBLINGS, *BASE},
    "networks": BASE,
    "storage": {"migrations", *BASE},
    "measures": BASE,
    "results": {"subjects", "errors"},
    "edit_results": set(),
    "subjects": {"errors"},
    "settings": {"errors"},
    "errors": set(),
    "migrations": {"storage", *BASE},
    "migrations.versions": set(),
    "service": set(),
}
# which rooms may import a third party; a room may be one module
HOME = {
    "prefect": {"flows"},
    "prefect_ray": {"flows"},
    "ray": {"flows"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"cli"},
    "sqlalchemy": {"storage", "migrations"},
    "duckdb": {"storage", "migrations"},
    "duckdb_sqlalchemy": {"storage", "migrations"},
    "alembic": {"storage", "migrations"},
    "pyarrow": {"storage", "migrations", "networks"},
    "transformers": {"networks", "service.training_monitor"},
    "tokenizers": {"networks"},
    "safetensors": {"networks"},
    "huggingface_hub": {"networks"},
    "datasets": {"networks"},
    "tensorboard": {"networks"},
    "torch": {
        "measures",
        "networks",
        "service.storage.activations",
        "service.storage.probe_directions",
        "service.storage.summary_format",
        "service.report.network_map",
    },
    "matplotlib": {"report"},
    "PIL": {"networks"},
    "plotly": {"report"},
    "jinja2": {"report"},
}


def room(module: str) -> str | None:
    """The room of one of our modules, None for anybody else's; the name itself where it has no room."""
    top, _, rest = module.partition(".")
    if top in ("flows", "migrations"):
        return "migrations.versions" if module.startswith("migrations.versions.") else top
    if top != "service":
        return None
    name = rest.partition(".")[0]
    if not name or name == "__version__":
        return "service"
    front_door = name.startswith(("cli", "demo", "command_"))
    return "cli" if front_door else name


def imported(source: str, module: str, is_package: bool = False) -> list[tuple[int, str]]:
    """Line and full name of everything a source imports, also inside functions, save under ``if TYPE_CHECKING``."""
    found: list[tuple[int, str]] = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = anchor(module, is_package, node.level)
            origin = ".".join(part for part in (start, node.module) if part)
            found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant):
                found.append((node.lineno, str(named.value)))
        waiting += ast.iter_child_nodes(node)
    return sorted(found)


def anchor(module: str, is_package: bool, level: int) -> str:
    """Where a relative import of that level starts."""
    if level == 0:
        return ""
    parts = module.split(".")
    return ".".join(parts[: len(parts) - level + is_package])


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """Every import that points up or sideways, or takes a third party out of its room."""
    own = room(module) or ""
    if own not in MAY_IMPORT:
        return [f"{module} has no place in the layering"]
    wrong = []
    for line, name in imported(source, module, is_package):
        target = room(name)
        if target is not None:
            if target != own and target != "service" and target not in MAY_IMPORT[own]:
                wrong.append(f"{module}:{line} ({own}) imports {name}")
            if own == "migrations.versions":
                wrong.append(f"{module}:{line}: a migration imports nothing of ours, but {name}")
            continue
        homes = HOME.get(name.partition(".")[0])
        if homes is not None and not homes & {own, own.partition(".")[0], module}:
            wrong.append(f"{module}:{line} ({own}) imports {name}, which lives in {', '.join(sorted(homes))}")
    return wrong


def sources() -> list[tuple[str, Path]]:
    """Module name and path of every source."""
    paths = (path for folder in ("service", "flows", "migrations") for path in sorted((ROOT / folder).rglob("*.py")))
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path) for path in paths]


def test_imports_only_point_down_and_third_parties_stay_in_their_rooms():
    found = sources()
    assert len(found) > 10
    wrong = [
        line
        for module, path in found
        for line in violations(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("service.measures.twonn", "from service.storage.database import reading"),
        ("service.measures.twonn", "from service import storage"),
        ("service.measures.twonn", "from ..storage import database"),
        ("service.storage.rows", "import service.networks.checkpoints"),
        ("service.networks.datasets", "def read():\n    from service.experiments import shape"),
        ("service.experiments.shape", "import flows.measure_layers"),
        ("service.experiments.shape", "import torch"),
        ("service.report.figures", "from service.storage.database import reading"),
        ("service.report.figures", "import duckdb"),
        ("flows.measure_layers", "from service.cli import app"),
        ("flows.measure_layers", "from service.demo import DEMONSTRATIONS"),
        ("flows.measure_layers", "import torch.nn"),
        ("service.cli", "import prefect"),
        ("service.storage.rows", "import torch"),
        ("service.storage.rows", "import importlib\nimportlib.import_module('transformers')"),
        ("service.networks.checkpoints", "try:\n    import sqlalchemy as sa\nexcept ImportError:\n    pass"),
        ("service.measures.twonn", "if TYPE_CHECKING:\n    import torch\nelse:\n    import matplotlib"),
        ("service.subjects", "from service.results import Estimate"),
        ("migrations.versions.0001_first", "from service.subjects import content_id"),
        ("migrations.versions.0001_first", "from migrations import env"),
        ("service.schedules", "from flows.deployments import SERVED"),
        ("service.helpers", ""),
    ],
)
def test_an_arrow_that_points_up_is_caught(module, source):
    assert len(violations(source, module)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "service.cli",
            "import typer\nfrom flows.measure_layers import measure_layers\nfrom service import __version__",
        ),
        ("service.cli_output", "import rich"),
        ("service.command_demo", "import typer"),
        ("service.experiments.shape", "from service.storage import rows\nfrom service.measures import find"),
        ("service.storage.activations", "import torch, pyarrow"),
        ("service.networks.datasets", "import pyarrow.parquet\nimport datasets"),
        ("service.storage.rows", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("service.report.figures", "import matplotlib\nfrom service.errors import BadInput\nfrom . import curves"),
        ("flows.artifacts", "from service.report.figures import figure\nimport prefect"),
        ("migrations.env", "import alembic\nfrom service.storage.schema import metadata"),
        ("migrations.versions.0001_first", "import sqlalchemy as sa\nfrom alembic import op"),
    ],
)
def test_an_arrow_that_points_down_is_let_through(module, source):
    assert violations(source, module) == []
