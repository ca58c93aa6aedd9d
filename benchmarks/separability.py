"""How long the logistic regression takes that tells layers apart, against scikit-learn's, at the same optimum.

``python benchmarks/separability.py`` prints Markdown. States are those of a GPT-NeoX of 12 layers and width 768, after a few
steps of training, on the language reference: 13 layers, 50,000 points in all. Both sides get the same standardised points, and
are timed in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from service.measures.layered import layered
from service.measures.logistic_regression import LinearClassifier, logistic_regression
from service.measures.separation import flat
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.hidden_states import extract
from service.networks.text_sources import python_reference
from service.networks.training import Recipe, small_decoder, train, train_tokenizer

POINTS, LAYERS, WIDTH, LIMIT, TOLERANCE = 50_000, 13, 768, 180.0, 1e-4
LOOSER = (1e-4, 1e-5, 1e-6)  # scikit-learn's tolerances, until its loss is ours


def states(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All layers' states as one cloud, and the layer of each."""
    texts = python_reference().texts
    tokenizer = train_tokenizer(texts, 8192, "causal")
    module = small_decoder(WIDTH, LAYERS - 1, len(tokenizer), heads=12)
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(steps, (steps,), batch=4, length=64)
        saved = train(module, tokenizer, texts, Path(folder) / "wide", recipe)
        network = load(find_checkpoints(str(saved))[-1], device="cpu")
        found = extract(network, open_dataset("python-reference"), POINTS // LAYERS)
    kept = [summary for summary in found if summary.site.stream != "final"]
    return flat(layered([one.site.layer for one in kept], [one.states for one in kept], kept[0].sample))


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def loss_of(weights: np.ndarray, intercepts: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy plus penalty at C = 1, in float64."""
    scores = inputs.astype(np.float64) @ weights.T + intercepts
    scores -= scores.max(1, keepdims=True)
    entropy = np.log(np.exp(scores).sum(1)) - scores[np.arange(len(labels)), labels]
    return float(entropy.mean() + (weights**2).sum() / (2 * len(labels)))


def ours(points: torch.Tensor, labels: torch.Tensor, repeats: int) -> tuple[LinearClassifier, list[float]]:
    """The classifier, and how long each fit took."""
    found = logistic_regression(points, labels, LAYERS)
    return found, [seconds(lambda: logistic_regression(points, labels, LAYERS)) for _ in range(repeats)]


def main() -> None:
    """Measure both and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    points, labels = states(options.steps)
    found, times = ours(points, labels, options.repeats)
    inputs, wanted = found.standardise(points).numpy(), labels.numpy()
    own = loss_of(found.weights.double().numpy(), found.intercepts.double().numpy(), inputs, wanted)
    print(f"{len(points):,} points, {LAYERS} layers, width {WIDTH}, C = 1, {options.threads} threads\n")
    print("| | seconds | loss (nats) | evaluations | against ours | limit |\n|---|---|---|---|---|---|")
    print(f"| Isoscope | {median(times):.1f} | {own:.6f} | {found.steps} | 1.0 | {LIMIT:.0f} s |")
    for dtype, tolerance in [(np.float64, one) for one in LOOSER] + [(np.float32, LOOSER[0])]:
        peer = LogisticRegression(tol=tolerance, max_iter=20_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            taken = seconds(lambda peer=peer, dtype=dtype: peer.fit(inputs.astype(dtype), wanted))
        theirs = loss_of(peer.coef_.astype(np.float64), peer.intercept_.astype(np.float64), inputs, wanted)
        same = "" if abs(theirs - own) <= TOLERANCE else ", another loss"
        name = f"scikit-learn, {np.dtype(dtype).name}, tol {tolerance:g}{same}"
        print(
            f"| {name} | {taken:.1f} | {theirs:.6f} | {peer.n_iter_[0]} | {taken / median(times):.1f} | |", flush=True
        )
        if not same and dtype is np.float64:
            break


if __name__ == "__main__":
    main()
