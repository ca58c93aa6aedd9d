"""All layers of two networks against each other: linear CKA and Procrustes, each with a null, against doing pair by pair.

12 x 12 layers, 4,096 points, width 768, 20 permutations: 3,024 comparisons. The peer does what the published benchmarks do
(ReSi's repsim.measures and netrep, which have no package to install): CKA as Kornblith's feature form in torch, three products
a call; Procrustes through scipy.linalg.orthogonal_procrustes on centred clouds of norm 1. Each call starts from the two
clouds. A few of its calls are timed, in float32 and in float64, and multiplied: all of them take half an hour. The floor is
one float32 product of (width, points) and (points, width) a comparison, which nothing that needs singular values of A'B can
do without.

Clouds are Gaussian with spectra that fall as a power, and share a part with the layers of the other network.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import scipy.linalg
import torch

from service.measures import Cloud, find_pair
from service.measures.all_pairs import all_pairs
from service.networks.threads import side_by_side

LAYERS, POINTS, WIDTH, PERMUTATIONS = 12, 4096, 768, 20
MEASURES = ("linear_cka", "procrustes")


def clouds(seed: int) -> list[torch.Tensor]:
    """The layers of one network."""
    shared = torch.randn(POINTS, WIDTH, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(seed)
    fall = torch.arange(1, WIDTH + 1) ** -0.5
    found = []
    for layer in range(LAYERS):
        mixed = shared * (1 - layer / LAYERS) + torch.randn(POINTS, WIDTH, generator=draw)
        found.append(mixed * fall @ torch.randn(WIDTH, WIDTH, generator=draw) / WIDTH**0.5)
    return found


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def peer_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Linear CKA of one pair."""
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    joint = torch.linalg.matrix_norm(y.T @ x) ** 2
    return (joint / (torch.linalg.matrix_norm(x.T @ x) * torch.linalg.matrix_norm(y.T @ y))).item()


def peer_procrustes(x: np.ndarray, y: np.ndarray) -> float:
    """The squared Procrustes distance of one pair."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return float(2 - 2 * scipy.linalg.orthogonal_procrustes(x, y)[1])


def peer(x: torch.Tensor, y: torch.Tensor, calls: int) -> tuple[float, float]:
    """Seconds of one call of each, the median of a few on permuted pairs."""
    draw = torch.Generator().manual_seed(1)
    orders = [torch.randperm(POINTS, generator=draw) for _ in range(calls)]
    cka = [seconds(lambda order=order: peer_cka(x[order], y)) for order in orders]
    turned = [seconds(lambda order=order: peer_procrustes(x[order].numpy(), y.numpy())) for order in orders]
    return median(cka), median(turned)


def main() -> None:
    """Measure both and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    first, second = clouds(1), clouds(2)
    comparisons = LAYERS * LAYERS * (PERMUTATIONS + 1)
    measures = [find_pair(name) for name in MEASURES]
    own: dict[str, float] = {}
    for chosen in (measures, measures[:1]):
        a, b = [Cloud(one) for one in first], [Cloud(one) for one in second]
        begun = time.perf_counter()
        found = list(all_pairs(a, b, chosen, PERMUTATIONS, apply=side_by_side))
        own[" and ".join(measure.name for measure in chosen)] = time.perf_counter() - begun
        if chosen is measures:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            values = {(one.row, one.column, one.measure.name): one.estimate.value for one in found}
    wide = torch.cat(second, dim=1)
    floor = median(seconds(lambda: first[0].T @ wide) for _ in range(3)) / LAYERS * comparisons
    x, y = first[3], second[5]
    away = abs(peer_cka(x.double(), y.double()) - values[3, 5, "linear_cka"])
    away = max(away, abs(peer_procrustes(x.double().numpy(), y.double().numpy()) - values[3, 5, "procrustes"]))
    print(
        f"{LAYERS} x {LAYERS} layers, {POINTS:,} points, width {WIDTH}, {PERMUTATIONS} permutations, {options.threads} threads"
    )
    print(f"peak memory {memory:.2f} GiB; largest difference from the peer in float64 {away:.1e}\n")
    print("| | linear CKA and Procrustes, s | linear CKA alone, s |\n|---|---|---|")
    print(f"| Isoscope | {own['linear_cka and procrustes']:.0f} | {own['linear_cka']:.0f} |")
    print(f"| float32 products alone | {floor:.0f} | {floor:.0f} |", flush=True)
    for dtype in (torch.float32, torch.float64):
        cka, turned = peer(x.to(dtype), y.to(dtype), options.calls)
        name = str(dtype).removeprefix("torch.")
        print(f"| pair by pair, {name} | {comparisons * (cka + turned):.0f} | {comparisons * cka:.0f} |", flush=True)


if __name__ == "__main__":
    main()
