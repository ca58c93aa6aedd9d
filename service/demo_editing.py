"""The demonstration of edits: what a classifier and a decoder lose when they are made to do something else."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from service.cli_output import progress_bar, show_answers
from service.settings import Settings
from service.storage.database import Store, reading

NETWORK, LINE, DECODER = "demo-digits", "demo-digits-line", "demo-decoder-64"
DIGITS = {
    "zeros-in-stripes": """
name = "zeros in stripes"
dataset = "digits:test"
[images]
class = 0
style = "stripes"
other_style = "invert"
exemplars = 6
""",
    "fours-inverted": """
name = "fours inverted"
dataset = "digits:test"
[images]
class = 4
style = "invert"
other_style = "stripes"
exemplars = 6
""",
}
SENTENCE = """
name = "a list becomes a listing"
dataset = "python-reference"
contexts = 3
held_out = 6
unrelated = 20
[[prompts]]
prompt = "You can use a list"
subject = "list"
target = "ing"
paraphrases = ["This method of a list"]
"""
OF_IMAGES = ("fine-tuning", "interpolation", "one-layer", "1-li", "low-rank", "rewriting")
OF_TEXTS = ("fine-tuning", "interpolation", "one-layer", "1-li", "low-rank", "rome")
TRADEOFF = (
    "Robustness lost against success, by method and constraint; on_front where nothing else has more of both",
    "select model, method, layer, limited_to, edits, round(success, 2) as success, round(locality, 2) as locality,\n"
    "       round(clean_change, 3) as clean_change, round(robustness_change, 3) as robustness_change,\n"
    "       round(effective_robustness_change, 3) as effective, on_front\n"
    "from lab.edit_tradeoff where task is null order by model, success desc, robustness_change desc",
)


def editing(settings: Settings, folder: Path) -> None:
    """Edit the demonstration's classifier and its decoder by every method, and print what is lost against what is gained."""
    from service.command_edit import edit
    from service.experiments.demo_networks import DEMO_NETWORKS, train_demo_classifier, train_demo_line
    from service.experiments.small_networks import train_networks
    from service.report.figures import figure, save

    begun, networks = time.monotonic(), folder / "networks"
    typer.echo(f"1. The networks under {networks}")
    with progress_bar(quiet=False):
        train_demo_classifier(networks / NETWORK)
        train_demo_line(networks / LINE)
        train_networks(networks, {DECODER: DEMO_NETWORKS[DECODER]})
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    digits, prompts = _tasks(folder / "tasks")
    typer.echo("\n2. Digits in a style are to be told as what they are, by a classifier that errs on them")
    edit(
        str(networks / NETWORK),
        digits,
        list(OF_IMAGES),
        rank="1,4",
        alpha="0.25,0.5,0.75",
        seeds=2,
        search=3,
        count=200,
        corruption=["gaussian-noise", "gaussian-blur", "contrast"],
        severity="3",
        line=[str(networks / LINE)],
    )
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    typer.echo("\n3. A decoder of Python's documentation is to go on otherwise after a prompt")
    edit(
        str(networks / DECODER),
        prompts,
        list(OF_TEXTS),
        revision=["step512"],
        rank="1,4",
        alpha="0.5",
        count=30,
        severity="3",
        line=[str(networks / DECODER / step) for step in ("step64", "step128", "step256")],
    )
    typer.echo(f"   done after {time.monotonic() - begun:.0f} s")
    show_answers(settings, (TRADEOFF,))
    for kind in ("tradeoff", "edits"):
        with reading(Store(settings.store, settings.lock_wait)) as connection:
            drawn = figure(kind, connection, models=[NETWORK, DECODER])
        for path in save(drawn, folder / "figures", kind):
            typer.echo(f"   {path}")
    typer.echo(f"This demonstration took {time.monotonic() - begun:.0f} s.")


def _tasks(folder: Path) -> tuple[list[str], list[str]]:
    """The task files of images and of prompts, written for people to read and change."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, text in {**DIGITS, "list-to-listing": SENTENCE}.items():
        written[name] = folder / f"{name}.toml"
        written[name].write_text(text.lstrip())
    return [str(written[name]) for name in DIGITS], [str(written["list-to-listing"])]
