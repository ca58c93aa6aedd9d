"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 300
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[Path]:
    """Every Python file of the folders."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def undocumented(source: str) -> Iterator[str]:
    """The module itself, and its public classes and functions, where they have no docstring."""
    tree = ast.parse(source)
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not ast.get_docstring(node):
            yield node.name


def asserts(source: str) -> list[int]:
    """Lines of assert statements: on input they vanish under -O."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]


def bare_excepts(source: str) -> list[int]:
    """Lines of handlers that catch everything without a name."""
    handlers = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler))
    return [node.lineno for node in handlers if node.type is None]


def prints(source: str) -> list[int]:
    """Lines that print."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]


def speaks(path: Path) -> bool:
    """Whether a file may print: the command line and the demonstrations."""
    return relative(path).startswith(("service/cli", "service/demo", "service/command_"))


def test_no_file_is_longer_than_300_lines():
    lengths = {
        relative(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in files("service", "flows", "migrations", "tests")
    }
    assert len(lengths) > 10
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_every_public_module_class_and_function_has_a_docstring():
    lacking = [
        f"{relative(path)}: {name}"
        for path in files("service", "flows")
        for name in undocumented(path.read_text(encoding="utf-8"))
    ]
    assert lacking == []


@pytest.mark.parametrize("lines_of", [asserts, bare_excepts])
def test_nothing_in_service_or_flows_asserts_or_catches_without_a_name(lines_of):
    found = [
        f"{relative(path)}:{line}" for path in files("service", "flows") for line in lines_of(path.read_text("utf-8"))
    ]
    assert found == []


def test_nothing_but_the_command_line_prints():
    quiet = [path for path in files("service", "flows") if not speaks(path)]
    assert [f"{relative(path)}:{line}" for path in quiet for line in prints(path.read_text("utf-8"))] == []


def test_a_break_of_each_rule_is_seen():
    source = "def loud():\n    try:\n        assert True\n    except:\n        print('x')\n"
    assert list(undocumented(source)) == ["the module", "loud"]
    assert list(undocumented('"""What."""\ndef _private(): ...\nclass Public: ...\n')) == ["Public"]
    assert (asserts(source), bare_excepts(source), prints(source)) == ([3], [4], [5])


def measures_by_file(tuple_name: str = "MEASURES") -> dict[str, list[str]]:
    """The names that each file of service/measures declares under MEASURES, or another name."""
    modules = [
        importlib.import_module(f"service.measures.{path.stem}")
        for path in (ROOT / "service/measures").glob("[!_]*.py")
    ]
    return {
        module.__name__: [measure.name for measure in getattr(module, tuple_name)]
        for module in modules
        if hasattr(module, tuple_name)
    }


def test_every_measure_that_a_file_declares_is_in_the_catalogue_once():
    from service.measures import catalogue, pair_catalogue

    for tuple_name, known in (("MEASURES", catalogue()), ("PAIR_MEASURES", pair_catalogue())):
        declared = [name for names in measures_by_file(tuple_name).values() for name in names]
        assert declared
        assert sorted(declared) == sorted(known)


def test_every_measure_is_named_in_a_test_of_measures():
    tested = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests/measures").rglob("test_*.py"))
    declared = [*measures_by_file().values(), *measures_by_file("PAIR_MEASURES").values()]
    untested = [name for names in declared for name in names if not re.search(rf"\b{name}\b", tested)]
    assert untested == []


def commands() -> dict[str, str]:
    """Every command's full name and its help text."""
    import typer.main

    from service.cli import app

    found: dict[str, str] = {}
    waiting = [("isoscope", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        children = getattr(command, "commands", {})
        waiting += [(f"{name} {child}", inner) for child, inner in children.items()]
        if not children:
            found[name] = (command.help or "").strip()
    return found


def test_every_command_has_a_help_text_and_stands_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    known = commands()
    assert len(known) > 3
    assert [name for name, text in known.items() if not text] == []
    assert [name for name in known if not re.search(rf"{name}\b", readme)] == []


def test_the_command_line_starts_without_what_only_some_commands_need():
    heavy = "{'torch', 'prefect', 'transformers', 'sqlalchemy', 'duckdb', 'matplotlib', 'plotly', 'ray'}"
    asked = f"import sys, service.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
