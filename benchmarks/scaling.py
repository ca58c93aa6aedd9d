"""What the Pythia suite costs, worked out from what one checkpoint costs here: ``docs/scaling.md`` is made of its output.

``python benchmarks/scaling.py`` prints the tables from the numbers below; ``--measure`` measures those numbers again, on
networks of Pythia's shapes with random weights and on clouds of Pythia's widths, and prints them.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from service.experiments.layer_question import Missing, Question, ask
from service.experiments.measure_layers import layer_results, measured
from service.networks.checkpoints import find_checkpoints, load
from service.networks.text_sources import python_reference
from service.networks.training import Recipe, small_decoder, train, train_tokenizer
from service.results import Moments, NetworkFacts, SampledTokens, Summary
from service.storage.database import open_store
from service.storage.rows import STAGES, record
from service.storage.summary_format import encode
from service.subjects import Checkpoint, Site

VOCABULARY = 50_304
POINTS = 4096
TOKENS = 13_788  # what the default reading of `python-reference` has with a vocabulary of this size
CHECKPOINTS = 154
TRAININGS = 2  # of each size: on the Pile, and on the Pile without duplicates

# Peak rates of an NVIDIA A100 80GB SXM by its data sheet, FLOP a second, and the share of them that is assumed here
PEAK = {"half": 312e12, "single": 19.5e12, "double": 9.7e12}
SHARE = {"half": 0.3, "single": 0.3, "double": 0.1}
EIGENVALUES = 4 / 3  # times width cubed: reducing a symmetric matrix to three diagonals, which is nearly all of it


@dataclass(frozen=True)
class Size:
    """One size of the suite; `parameters` as its model card counts them, embeddings among them."""

    name: str
    parameters: float
    layers: int
    width: int
    heads: int

    @property
    def sites(self) -> int:
        """The embedding, each block, and the state after the last norm."""
        return self.layers + 2

    @property
    def multiplied(self) -> float:
        """The parameters that each token is multiplied with: all but the input embedding."""
        return self.parameters - VOCABULARY * self.width


SUITE = (
    Size("70m", 70_426_624, 6, 512, 8),
    Size("160m", 162_322_944, 12, 768, 12),
    Size("410m", 405_334_016, 24, 1024, 16),
    Size("1b", 1_011_781_632, 16, 2048, 8),
    Size("1.4b", 1_414_647_808, 24, 2048, 16),
    Size("2.8b", 2_775_208_960, 32, 2560, 32),
    Size("6.9b", 6_857_302_016, 32, 4096, 32),
    Size("12b", 11_846_072_320, 36, 5120, 40),
)

# What `--measure` printed: seconds of CPU time on one core of the machine of RESULTS.md, bytes, rows
MEASURED: dict[str, Any] = {
    "sites": {
        512: {"measure": 2.82, "eigenvalues": 0.01, "bytes": 4_427_236, "rows": 87},
        768: {"measure": 3.87, "eigenvalues": 0.03, "bytes": 6_562_668, "rows": 87},
        1024: {"measure": 6.07, "eigenvalues": 0.08, "bytes": 8_698_169, "rows": 87},
        2048: {"measure": 18.99, "eigenvalues": 0.29, "bytes": 17_240_071, "rows": 87},
        2560: {"measure": 28.86, "eigenvalues": 0.47, "bytes": 21_510_993, "rows": 87},
        4096: {"measure": 82.01, "eigenvalues": 1.69, "bytes": 34_323_823, "rows": 87},
        5120: {"measure": 89.2, "eigenvalues": 3.16, "bytes": 42_865_727, "rows": 87},
    },
    "checkpoints": {
        "70m": {
            "seconds_load": 0.07,
            "seconds_extract": 10.08,
            "seconds_measure": 15.85,
            "seconds_record": 0.01,
            "cpu": 25.8,
            "rows": 696,
            "sites": 8,
        },
        "160m": {
            "seconds_load": 0.14,
            "seconds_extract": 59.32,
            "seconds_measure": 87.35,
            "seconds_record": 0.0,
            "cpu": 76.8,
            "rows": 1218,
            "sites": 14,
        },
    },
}


def shaped(width: int, layer: int) -> Summary:
    """A cloud of random states with a spectrum that falls as those of networks do, as a summary."""
    draw = torch.Generator().manual_seed(layer)
    fall = torch.arange(1, width + 1, dtype=torch.float32) ** -0.5
    states = (torch.randn(POINTS, width, generator=draw) * fall).half()
    places = torch.arange(POINTS)
    sample = SampledTokens(places // 32, places * 3, places % 997, places % 32, torch.zeros(POINTS, dtype=torch.bool))
    moments = Moments(TOKENS, states.double().mean(0), fall.double() ** 2)
    site = Site(Checkpoint("pythia", 0, "r"), "python-reference", "d", layer, "residual")
    facts = NetworkFacts("gpt_neox", "decoder", 24, width, 1, "float16", "cuda", "sdpa", 25)
    named = {"all": moments, "not-first": moments, "not-special": moments}
    return Summary(site, sample, states, named, layer, TOKENS, 0, facts)


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of this process in a call, and what it returned."""
    used = time.process_time()
    found = call()
    return time.process_time() - used, found


def of_site(question: Question, width: int) -> dict[str, float]:
    """What one site of a width costs: measuring it, taking its spectrum, its summary's bytes, its rows."""
    before, summary = shaped(width, 0), shaped(width, 1)
    matrix = torch.cov(summary.states.double().T)
    measuring, results = cpu_seconds(lambda: layer_results(summary, before, question.wishes))
    eigenvalues, _ = cpu_seconds(lambda: torch.linalg.eigvalsh(matrix))
    return {
        "measure": round(measuring, 2),
        "eigenvalues": round(eigenvalues, 2),
        "bytes": len(encode(summary)),
        "rows": len(results),
    }


def of_checkpoint(size: Size, folder: Path, question: Question) -> dict[str, float]:
    """What a whole checkpoint of a size costs here, by stage: random weights, float32, the default reading."""
    texts = python_reference().texts
    tokenizer = train_tokenizer(texts, 8192, "causal")
    module = small_decoder(size.width, size.layers, VOCABULARY, heads=size.heads)
    place = train(module, tokenizer, texts, folder / size.name, Recipe(steps=0, save_steps=(0,)))
    del module
    source = find_checkpoints(str(place))[0]
    store = open_store(folder / "store", 60)
    used = time.process_time()
    found = measured(store, source.checkpoint, question, Missing(True, None), lambda: load(source, device="cpu"))
    cpu = time.process_time() - used
    record(store, found.rows)
    seconds = {f"seconds_{name}": round(found.rows.tables["runs"][f"seconds_{name}"][0].as_py(), 2) for name in STAGES}
    return {**seconds, "cpu": round(cpu, 1), "rows": found.outcome.rows, "sites": found.outcome.sites}


def measure(widths: list[int], sizes: list[str]) -> dict[str, Any]:
    """Every number that the tables need, as JSON."""
    question = ask("python-reference")
    sites = {}
    for width in widths:
        sites[width] = of_site(question, width)
        print(width, sites[width], flush=True)
    checkpoints = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in SUITE:
            if size.name in sizes:
                checkpoints[size.name] = of_checkpoint(size, Path(folder), question)
                print(size.name, checkpoints[size.name], flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"sites": sites, "checkpoints": checkpoints, "peak_gib": round(peak, 1)}


@dataclass(frozen=True)
class Cost:
    """One checkpoint of a size: seconds of the accelerator (computed), seconds of a core (measured), bytes, rows."""

    forward: float
    moments: float
    spectra: float
    core: float
    stored: float
    weights: float
    rows: float

    @property
    def accelerator(self) -> float:
        return self.forward + self.moments + self.spectra


def cost(size: Size) -> Cost:
    """What a checkpoint of this size costs."""
    site = MEASURED["sites"][size.width]
    rate = {kind: PEAK[kind] * SHARE[kind] for kind in PEAK}
    return Cost(
        forward=2 * size.multiplied * TOKENS / rate["half"],
        moments=2 * size.width**2 * TOKENS * size.sites / rate["single"],
        spectra=2 * EIGENVALUES * size.width**3 * size.sites / rate["double"],
        core=size.sites * site["measure"],
        stored=size.sites * site["bytes"],
        weights=2 * size.parameters,
        rows=size.sites * site["rows"],
    )


def table() -> str:
    """One checkpoint of each size, then the suite."""
    lines = [
        "| Pythia | sites | forward, s | moments, s | spectra, s | measuring, core s | summaries, MB | weights, GB | rows |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for size in SUITE:
        one = cost(size)
        lines.append(
            f"| {size.name} | {size.sites} | {one.forward:.2f} | {one.moments:.2f} | {one.spectra:.2f} | {one.core:,.0f} | "
            f"{one.stored / 1e6:,.0f} | {one.weights / 1e9:.2f} | {one.rows:,.0f} |"
        )
    lines += [
        "",
        "| x 154 x 2 | accelerator, h | measuring, core h | summaries, TB | weights, TB | rows |",
        "|---|---|---|---|---|---|",
    ]
    many = CHECKPOINTS * TRAININGS
    total = [0.0] * 5
    for size in SUITE:
        one = cost(size)
        row = [one.accelerator / 3600, one.core / 3600, one.stored / 1e12, one.weights / 1e12, one.rows]
        row = [value * many for value in row]
        total = [before + value for before, value in zip(total, row, strict=True)]
        lines.append(_row(size.name, row))
    return "\n".join([*lines, _row("**all**", total)])


def _row(name: str, values: list[float]) -> str:
    accelerator, core, stored, weights, rows = values
    return f"| {name} | {accelerator:,.2f} | {core:,.0f} | {stored:.2f} | {weights:.2f} | {rows:,.0f} |"


def main() -> None:
    """Print the tables, or measure what they are made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--widths", type=int, nargs="*", default=sorted({size.width for size in SUITE}))
    parser.add_argument("--sizes", nargs="*", default=["70m", "160m"])
    options = parser.parse_args()
    if options.measure:
        torch.set_num_threads(options.threads)
        print(json.dumps(measure(options.widths, options.sizes), indent=1))
    else:
        print(table())


if __name__ == "__main__":
    main()
