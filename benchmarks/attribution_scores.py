"""Whether TRAK's scores are those of its released code (traker) and dattri, and what a projection keeps of gradients.

Agreement: two small networks are really trained on 1,000 of scikit-learn's digits and asked about 200 others, with 256
dimensions, alone and as an ensemble of two seeds. Each peer computes its own per-example gradients, kernel and scores; the
projection is ours, given to traker as its projector and to dattri in place of its `random_project`.

Accuracy: what each kind of projection does to inner products, lengths and scores of one of these networks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

from service.measures.attribution_quality import rank_correlations
from service.measures.projection import Projection
from service.measures.trak import TrakMember, ensemble_trak_scores, projected_kernel
from service.networks.gradients import ExampleGradients
from service.networks.output_functions import ClassMargin, margin

TRAIN, TEST, SMALL_WIDTH = 1000, 200, 256


def digits() -> tuple[Tensor, Tensor]:
    """Scikit-learn's digits as images, in a seeded order."""
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[: TRAIN + TEST]
    return torch.tensor(images, dtype=torch.float32)[order].reshape(-1, 1, 8, 8) / 16, torch.tensor(labels)[order]


def small(kind: str) -> nn.Module:
    """A network of some thousand parameters."""
    if kind == "perceptron":
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    first = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*first, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10))


def trained(kind: str, seed: int, images: Tensor, labels: Tensor) -> nn.Module:
    """That network, really trained: forty passes over the digits."""
    torch.manual_seed(seed)
    module = small(kind)
    optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
    for _ in range(40):
        for some in torch.randperm(len(labels)).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(images[some]), labels[some]).backward()
            optimiser.step()
    return module.eval()


def names(module: nn.Module) -> tuple[str, ...]:
    """Its parameters."""
    return tuple(name for name, _ in module.named_parameters())


def features(
    module: nn.Module, key: str, images: Tensor, labels: Tensor, projection: Projection, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Ours: projected gradients, and 1 - p."""
    gradients = ExampleGradients(module, names(module), ClassMargin(), chunk)
    found = [(projection(*one.parts), one.doubts) for one in gradients.chunks({key: images}, labels=labels)]
    return torch.cat([rows for rows, _ in found]), torch.cat([doubts for _, doubts in found])


def our_members(modules: list[nn.Module], images: Tensor, labels: Tensor) -> Iterator[TrakMember]:
    """Each network's features."""
    for place, module in enumerate(modules):
        rows, doubts = features(module, "input", images, labels, Projection(SMALL_WIDTH, member=place))
        yield TrakMember(rows[:TRAIN], rows[TRAIN:], doubts[:TRAIN])


class TrakerProjector:
    """Our projection, as traker calls one."""

    proj_type = "sparse"

    def __init__(self) -> None:
        self.proj_dim = SMALL_WIDTH

    def project(self, grads: Any, model_id: int) -> Tensor:
        """Flat rows of a dict of gradients, projected."""
        parts = grads.values() if isinstance(grads, dict) else [grads]
        return Projection(SMALL_WIDTH, member=model_id)(*(part.flatten(1) for part in parts))

    def free_memory(self) -> None:
        """There is nothing to free."""


def traker_scores(modules: list[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """The released code's scores (test, train)."""
    from trak import TRAKer

    with tempfile.TemporaryDirectory() as folder:
        peer = TRAKer(
            model=deepcopy(modules[0]),
            task="image_classification",
            train_set_size=TRAIN,
            save_dir=folder,
            projector=TrakerProjector(),
            proj_dim=SMALL_WIDTH,
            device="cpu",
            use_half_precision=False,
            logging_level=50,
        )
        for place, module in enumerate(modules):
            peer.load_checkpoint(module.state_dict(), model_id=place)
            for some in torch.arange(TRAIN).split(100):
                peer.featurize([images[some], labels[some]], num_samples=len(some))
        peer.finalize_features()
        for place, module in enumerate(modules):
            peer.start_scoring_checkpoint("test", module.state_dict(), model_id=place, num_targets=TEST)
            peer.score([images[TRAIN:], labels[TRAIN:]], num_samples=TEST)
        return torch.tensor(peer.finalize_scores("test")).T


def dattri_scores(modules: list[nn.Module], images: Tensor, labels: Tensor) -> Tensor:
    """dattri's scores (test, train)."""
    import dattri.algorithm.trak as theirs
    from dattri.task import AttributionTask

    model = deepcopy(modules[0])

    def own_margin(weights: dict[str, Tensor], pair: tuple[Tensor, Tensor]) -> Tensor:
        scores = functional_call(model, weights, pair[0][None])
        return margin(scores, pair[1][None])[0]

    theirs.random_project = lambda rows, *_, **__: (
        lambda _, ensemble_id: Projection(SMALL_WIDTH, member=ensemble_id)(rows)
    )
    task = AttributionTask(own_margin, model, [module.state_dict() for module in modules])
    peer = theirs.TRAKAttributor(task, lambda weights, pair: torch.sigmoid(own_margin(weights, pair)))
    loaders = [
        DataLoader(TensorDataset(images[part], labels[part]), batch_size=100)
        for part in (slice(TRAIN), slice(TRAIN, None))
    ]
    peer.cache(loaders[0])
    with torch.no_grad():
        return peer.attribute(loaders[1]).T


def accuracy() -> None:
    """How well each kind keeps the digits networks' unprojected kernel and inner products, over ten seeds."""
    images, labels = digits()
    module = trained("perceptron", 0, images[:TRAIN], labels[:TRAIN])
    found = ExampleGradients(module, names(module), ClassMargin()).of({"input": images}, labels=labels)
    rows = found.rows.double()
    products = rows[TRAIN:] @ rows[:TRAIN].T
    lengths = rows.norm(dim=1)
    exact = projected_kernel(rows[:TRAIN], rows[TRAIN:], 0.01) * found.doubts[:TRAIN]
    print(
        "| | error of an inner product, of the lengths | largest error of a length | rank with the unprojected scores |"
    )
    print("|---|---|---|---|")
    for kind, nonzeros in (("rademacher", 4), ("sparse", 1), ("sparse", 2), ("sparse", 4), ("sparse", 8)):
        errors, norms, ranks = [], [], []
        for seed in range(10):
            made = Projection(SMALL_WIDTH, seed=seed, kind=kind, nonzeros=nonzeros)(rows)
            away = (made[TRAIN:] @ made[:TRAIN].T - products) / (lengths[TRAIN:, None] * lengths[:TRAIN])
            errors.append(away.square().mean().item())
            norms.append((made.norm(dim=1) / lengths - 1).abs().max().item())
            scores = projected_kernel(made[:TRAIN], made[TRAIN:], 0.01) * found.doubts[:TRAIN]
            ranks.append(rank_correlations(scores.T.numpy(), exact.T.numpy()).mean())
        name = "Rademacher" if kind == "rademacher" else f"sparse, {nonzeros}"
        print(
            f"| {name} | {(sum(errors) / 10) ** 0.5:.4f} | {sum(norms) / 10:.3f} | {sum(ranks) / 10:.4f} |", flush=True
        )


def agreement() -> None:
    """Rank correlations with the peers' scores, test example by test example."""
    images, labels = digits()
    print("| | networks | traker | dattri |\n|---|---|---|---|")
    for kind in ("perceptron", "convolution"):
        modules = [trained(kind, seed, images[:TRAIN], labels[:TRAIN]) for seed in range(2)]
        for members in (modules[:1], modules):
            own = ensemble_trak_scores(our_members(members, images, labels)).T.numpy()
            cells = []
            for peer in (traker_scores, dattri_scores):
                try:
                    found = rank_correlations(own, peer(members, images, labels).double().T.numpy())
                    cells.append(f"{found.mean():.7f} ({found.min():.7f})")
                except ImportError:
                    cells.append("not installed")
            print(f"| {kind} | {len(members)} | {cells[0]} | {cells[1]} |", flush=True)


def main() -> None:
    """Measure both and print Markdown."""
    torch.set_num_threads(2)
    print("\nagreement\n")
    agreement()
    print("\naccuracy\n")
    accuracy()


if __name__ == "__main__":
    main()
