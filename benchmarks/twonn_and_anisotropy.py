"""TwoNN and anisotropy against the reference, scikit-dimension and DADApy, on the same points, in one run.

    python benchmarks/twonn_and_anisotropy.py --reference LLM_microscope.ipynb --dadapy-python ~/dadapy/bin/python

The reference is the user's own copy of the notebook of https://github.com/AIRI-Institute/LLM-Microscope;
scikit-dimension is used where it is installed; DADApy needs numpy<2 and so a Python of its own. What is not there is
skipped with a line. Every repeat runs all of them in turn, so that a busy machine is busy for all; medians are given.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import torch

from service.measures import Cloud, find

SIZES = ((4096, 768), (10_000, 768))
DADAPY = """
import sys, time, warnings
import numpy as np
from dadapy import Data
warnings.simplefilter("ignore")
points = np.load(sys.argv[1]).astype(np.float64)
jobs = int(sys.argv[2])
Data(points[:200].copy(), n_jobs=jobs).compute_id_2NN(mu_fraction=0.9)
for line in sys.stdin:
    start = time.perf_counter()
    data = Data(points.copy(), maxk=2, n_jobs=jobs)
    value = data.compute_id_2NN(mu_fraction=0.9)[0]
    print(time.perf_counter() - start, float(value), flush=True)
"""
Contender = Callable[[], tuple[float, float]]


def cloud(points: int, width: int) -> torch.Tensor:
    """Seeded points with the falling spectrum that hidden states have, float32."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(points, width, generator=draw) * torch.arange(1, width + 1) ** -0.5


def timed(call: Callable[[], float]) -> Contender:
    def contender() -> tuple[float, float]:
        start = time.perf_counter()
        value = call()
        return time.perf_counter() - start, value

    return contender


def ours(points: torch.Tensor, measure: str, released: bool) -> Contender:
    procedure = find(measure).released if released else find(measure).corrected
    return timed(lambda: procedure(Cloud(points))[""].value)


def ours_without_twin(points: torch.Tensor) -> Contender:
    """TwoNN alone: the others do not measure a Gaussian cloud beside it."""
    from service.measures.twonn import fitted

    return timed(lambda: fitted(Cloud(points)).value)


def reference_functions(notebook: Path) -> dict[str, Callable[..., float]]:
    """The functions of the notebook's cells that define them, on the CPU."""
    names: dict[str, object] = {"torch": torch, "np": np, "device": torch.device("cpu")}
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "def intrinsic_dimension" in source:
            exec(compile(source, str(notebook), "exec"), names)
    return names  # type: ignore[return-value]


@contextmanager
def large_blocks_given_back() -> Iterator[None]:
    """glibc keeps blocks under 32 MiB in the heap, where the small tensors of the reference's loop pin them: it would take
    tens of GiB. While it runs, blocks from 1 MiB on are mapped, and given back."""
    mallopt, threshold = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0), -3
    mallopt(threshold, 1 << 20)
    try:
        yield
    finally:
        mallopt(threshold, 1 << 25)


@contextmanager
def dadapy(python: str, points: torch.Tensor, jobs: int) -> Iterator[Contender]:
    """DADApy in a Python of its own, warm, asked once a repeat; the time is what it measures itself."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/points.npy", points.numpy())
        command = [python, "-c", DADAPY, f"{folder}/points.npy", str(jobs)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

            def contender() -> tuple[float, float]:
                process.stdin.write("go\n")
                process.stdin.flush()
                seconds, value = process.stdout.readline().split()[-2:]
                return float(seconds), float(value)

            yield contender
            process.stdin.close()


def compared(contenders: dict[str, Contender], repeats: int, slow: set[str]) -> None:
    """Run all in turn, `slow` ones once, and print each one's median and how many times ours it is."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    values: dict[str, float] = {}
    for name, contender in contenders.items():
        if name not in slow:
            contender()
    for repeat in range(repeats):
        for name, contender in contenders.items():
            if repeat == 0 or name not in slow:
                taken, values[name] = contender()
                seconds[name].append(taken)
    base = median(next(iter(seconds.values())))
    for name, taken in seconds.items():
        middle = median(taken)
        print(f"| {name} | {middle:.3f} | {middle / base:.1f} | {values[name]:.5f} | {len(taken)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="a copy of LLM_microscope.ipynb")
    parser.add_argument("--dadapy-python", help="a Python that has dadapy")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    reference = reference_functions(asked.reference) if asked.reference else {}
    has_skdim = importlib.util.find_spec("skdim") is not None
    for given, line in (
        (reference, "the reference is skipped: give --reference LLM_microscope.ipynb"),
        (has_skdim, "scikit-dimension is skipped: pip install scikit-dimension"),
        (asked.dadapy_python, "DADApy is skipped: give --dadapy-python, a Python that has dadapy"),
    ):
        if not given:
            print(line)
    for size in SIZES:
        points = cloud(*size)
        print(f"\n### TwoNN, {size[0]:,} x {size[1]}, {asked.threads} threads\n")
        twonn_table(points, asked, reference, has_skdim)
        print(f"\n### Anisotropy, {size[0]:,} x {size[1]}, {asked.threads} threads\n")
        anisotropy_table(points, asked, reference)


HEAD = "| implementation | seconds (median) | times ours | value | repeats |\n|---|---|---|---|---|"


def twonn_table(points: torch.Tensor, asked: argparse.Namespace, reference: dict, has_skdim: bool) -> None:
    print(HEAD)
    contenders = {
        "isoscope, corrected": ours_without_twin(points),
        "isoscope, corrected with its Gaussian cloud": ours(points, "twonn", released=False),
        "isoscope, as released": ours(points, "twonn", released=True),
    }
    if has_skdim:
        from skdim.id import TwoNN

        contenders["scikit-dimension TwoNN"] = timed(lambda: TwoNN().fit(points.numpy()).dimension_)
    if reference:

        def dimension() -> float:
            with large_blocks_given_back():
                return reference["intrinsic_dimension"](points)

        contenders["reference intrinsic_dimension"] = timed(dimension)
    slow = {"reference intrinsic_dimension"}
    if asked.dadapy_python:
        with dadapy(asked.dadapy_python, points, asked.threads) as contender:
            compared({**contenders, "DADApy compute_id_2NN": contender}, asked.repeats, slow)
    else:
        compared(contenders, asked.repeats, slow)


def anisotropy_table(points: torch.Tensor, asked: argparse.Namespace, reference: dict) -> None:
    print(HEAD)
    contenders = {
        "isoscope, corrected, with its error": ours(points, "anisotropy", released=False),
        "isoscope, as released, with its error": ours(points, "anisotropy", released=True),
    }
    if reference:
        share = reference["calculate_anisotropy_torch"]
        contenders["reference calculate_anisotropy_torch"] = timed(lambda: share(points))
        contenders["reference, fast=True"] = timed(lambda: share(points, fast=True))
    compared(contenders, asked.repeats, set())


if __name__ == "__main__":
    sys.exit(main())
