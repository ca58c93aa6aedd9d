"""What several commands are given alike, and how they read it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from service.errors import BadInput

Model = Annotated[
    str, typer.Argument(help="A hub name, a checkpoint folder, a folder of them, or python:module:function[:layers].")
]
OtherModel = Annotated[str, typer.Argument(help="The other network; may be the same.")]
Revisions = Annotated[
    list[str] | None, typer.Option(help="A revision or a pattern such as 'step*'; repeat for several.")
]
RevisionsOfBoth = Annotated[
    list[str] | None,
    typer.Option(
        help="A revision or pattern of both; repeat for several. The last checkpoint of each if none is given."
    ),
]
RevisionsOfFirst = Annotated[
    list[str] | None, typer.Option(help="A revision or pattern of the first, in place of --revision.")
]
RevisionsOfSecond = Annotated[
    list[str] | None, typer.Option(help="A revision or pattern of the second, in place of --revision.")
]
Dataset = Annotated[str, typer.Option(help="A built-in name, a file or folder, path:column, or hf:name:config:split.")]
Datasets = Annotated[
    list[str] | None, typer.Option(help="A built-in name, a file or folder, path:column, or hf:name:config:split.")
]
Measures = Annotated[list[str] | None, typer.Option(help="A measure's name; all of them if not given.")]
Layers = Annotated[str | None, typer.Option(help="Layers to measure, such as 0,3-6; all if not given.")]
FewestTokens = Annotated[int | None, typer.Option(min=1, help="Run at least this many tokens.")]
Texts = Annotated[int | None, typer.Option(min=1, help="Texts to read.")]
Length = Annotated[int | None, typer.Option(min=1, help="Tokens read of each text; shorter ones skipped.")]
KeptTokens = Annotated[Literal["all", "last"], typer.Option(help="Keep all tokens of a text, or its last alone.")]
Seeds = Annotated[int, typer.Option(min=1, help="Choices of held-out texts.")]
Window = Annotated[int | None, typer.Option(min=8, help="Characters in a window of text.")]
Sample = Annotated[int | None, typer.Option(min=16, help="States kept of each layer.")]
MeasuredAsReleased = Annotated[
    bool, typer.Option("--as-released", help="Also measure by the published procedures as their authors run them.")
]
AskedAsReleased = Annotated[
    bool, typer.Option("--as-released", help="Also ask by the published study's own procedure.")
]
EditedAsReleased = Annotated[
    bool, typer.Option("--as-released", help="Also edit by rome and rewriting as their authors' code does it.")
]
Name = Annotated[str | None, typer.Option(help="What to call a local model in the store.")]
NameOfFirst = Annotated[str | None, typer.Option(help="What to call the first model in the store, if local.")]
NameOfSecond = Annotated[str | None, typer.Option(help="What to call the second model in the store, if local.")]
Device = Annotated[str | None, typer.Option(help="cuda, cpu or auto.")]
Dtype = Annotated[str, typer.Option(help="float32, float16, bfloat16, or auto: as the weights are stored.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Windows or images in a batch.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that a model's repository brings.")
]
ShownModels = Annotated[list[str] | None, typer.Option(help="A model; all if not given. Repeatable.")]
ShownDatasets = Annotated[list[str] | None, typer.Option(help="A dataset; all if not given. Repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def layer_numbers(text: str | None) -> list[int] | None:
    """``0,3-6`` as [0, 3, 4, 5, 6]. Raises BadInput."""
    if text is None:
        return None
    layers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BadInput(f"--layers needs numbers and ranges such as 0,3-6; got {text!r}")
        layers.update(range(int(first), int(last or first) + 1))
    return sorted(layers)


def dimension_numbers(text: str | None) -> list[int] | None:
    """``3,17,40`` as [3, 17, 40], each once. Raises BadInput."""
    found = numbers("--mask", text)
    return None if found is None else sorted(set(found))


def numbers(option: str, text: str | None) -> list[int] | None:
    """``10,30,100`` as [10, 30, 100]. Raises BadInput."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise BadInput(f"{option} needs whole numbers such as 10,30,100; got {text!r}")
    return [int(part) for part in parts]


def quoted(name: str) -> str:
    """A name as SQL writes it, for statements that take no parameters."""
    return "'" + name.replace("'", "''") + "'"


def shares(option: str, text: str | None) -> list[float] | None:
    """``0.25,0.5`` as [0.25, 0.5]. Raises BadInput."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(f"{option} needs numbers such as 0.25,0.5; got {text!r}") from error
