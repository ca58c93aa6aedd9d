"""TRAK against its released code (traker) and dattri: the same scores, and how long projected gradients take.

Agreement: two small networks are really trained on 1,000 of scikit-learn's digits and asked about 200 others, with 256
dimensions, alone and as an ensemble of two seeds. Each peer computes its own per-example gradients, kernel and scores; the
projection is ours, given to traker as its projector and to dattri in place of its `random_project`.

Accuracy: what each kind of projection does to inner products, lengths and scores of one of these networks.

Speed: a vision transformer of about a million parameters, gradients of the margin projected to 2,048 dimensions. One batch
costs as much as another, so that a few are timed, all sides in turn, and multiplied. The peers do what they do on a CPU:
random numbers drawn anew for every batch of 64, a hundred dimensions at a time. `--memory` runs all 10,000 examples through
ours.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from statistics import median
from typing import Any

import torch
import transformers
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

from service.measures.attribution_quality import rank_correlations
from service.measures.projection import Projection
from service.measures.trak import TrakMember, ensemble_trak_scores, projected_kernel
from service.networks.gradients import ExampleGradients, per_example
from service.networks.output_functions import ClassMargin, margin

TRAIN, TEST, SMALL_WIDTH = 1000, 200, 256
EXAMPLES, WIDTH, PEERS_BATCH, OURS_A_TURN = 10_000, 2048, 64, 5


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


class Scored(nn.Module):
    """A network of transformers as the peers call one: an image in, class scores out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Class scores."""
        scores: Tensor = self.network(pixel_values=image).logits
        return scores


def vision_transformer() -> nn.Module:
    """About a million parameters: 5 blocks of width 128, 17 patches."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "num_hidden_layers": 5, "num_attention_heads": 4, "intermediate_size": 512}
    config = transformers.ViTConfig(**sizes, image_size=32, patch_size=8, num_channels=3, num_labels=10)
    return transformers.ViTForImageClassification(config).eval()


def draw_images(count: int) -> tuple[Tensor, Tensor]:
    """Noise and labels: a gradient costs the same whatever the image."""
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 32, 32, generator=draw), torch.randint(10, (count,), generator=draw)


def traker_side(module: nn.Module, normal: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """traker's own gradients and projector, put together as its `featurize` does on a CPU."""
    from trak.gradient_computers import FunctionalGradientComputer
    from trak.modelout_functions import ImageClassificationModelOutput
    from trak.projectors import BasicProjector, ProjectionType

    count = sum(weight.numel() for weight in module.parameters())
    task = ImageClassificationModelOutput()
    computer = FunctionalGradientComputer(module, task, count, torch.float32, "cpu")
    kind = ProjectionType.normal if normal else ProjectionType.rademacher
    projector = BasicProjector(count, WIDTH, 0, kind, "cpu")

    def featurize(images: Tensor, labels: Tensor) -> Tensor:
        rows = computer.compute_per_sample_grad([images, labels])
        found = projector.project(rows, model_id=0)
        computer.compute_loss_grad([images, labels])
        return found

    return featurize


def dattri_side(module: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """dattri's own gradients and projector, put together as its `cache` does."""
    from dattri.func.projection import random_project
    from dattri.task import AttributionTask

    def own_margin(weights: dict[str, Tensor], pair: tuple[Tensor, Tensor]) -> Tensor:
        return margin(functional_call(module, weights, pair[0][None]), pair[1][None])[0]

    task = AttributionTask(own_margin, module, module.state_dict())
    slopes = task.get_grad_loss_func(in_dims=(None, 0))
    weights, _ = task.get_param(ckpt_idx=0)

    def featurize(images: Tensor, labels: Tensor) -> Tensor:
        rows = slopes(weights, (images, labels))
        return random_project(rows, len(rows), WIDTH, 32, 0, "rademacher")(rows, ensemble_id=0).detach()

    return featurize


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """How long a call takes, and how much of the processors' time."""
    begun, worked = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - begun, time.process_time() - worked


def ours(module: nn.Module, images: Tensor, labels: Tensor, kind: str, chunk: int) -> Tensor:
    """Projected gradients of a network of transformers."""
    return features(module, "pixel_values", images, labels, Projection(WIDTH, kind=kind), chunk)[0]


def bare(module: nn.Module, images: Tensor, labels: Tensor, chunk: int) -> None:
    """Per-example gradients alone."""
    gradients = ExampleGradients(module, names(module), ClassMargin(), chunk)
    for _ in gradients.chunks({"pixel_values": images}, labels=labels):
        pass


def speed(repeats: int) -> None:
    """Each side on so many examples, in turn."""
    module = vision_transformer()
    scored = Scored(module)
    count = sum(weight.numel() for weight in module.parameters())
    sides: dict[str, tuple[int, Callable[[Tensor, Tensor], object]]] = {
        "bare per-example gradients": (256, lambda x, y: bare(module, x, y, 64)),
        "Isoscope, sparse": (256, lambda x, y: ours(module, x, y, "sparse", 64)),
        "Isoscope, Rademacher": (256, lambda x, y: ours(module, x, y, "rademacher", 256)),
    }
    peers = {
        "traker, Rademacher": lambda: traker_side(scored, normal=False),
        "traker, normal (its default on a CPU)": lambda: traker_side(scored, normal=True),
        "dattri, Rademacher": lambda: dattri_side(scored),
    }
    for name, make in peers.items():
        try:
            sides[name] = (PEERS_BATCH, make())
        except ImportError as error:
            print(f"{name} is left out: {error}")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    with per_example(module):
        for name in list(sides) * repeats:
            batch, side = sides[name]
            images, labels = draw_images(batch)
            times = 1 if batch == PEERS_BATCH else OURS_A_TURN
            found[name] += [seconds(lambda s=side, x=images, y=labels: s(x, y)) for _ in range(times)]
    print(f"{count:,} parameters to {WIDTH:,} dimensions, {torch.get_num_threads()} threads, {repeats} turns\n")
    print(f"| s for {EXAMPLES:,} | examples timed | median | best | best, of bare | processor s |")
    print("|---|---|---|---|---|---|")
    floor = min(found["bare per-example gradients"])[0] / sides["bare per-example gradients"][0]
    for name, (batch, _) in sides.items():
        taken, worked = zip(*found[name], strict=True)
        middle, best, work = (value * EXAMPLES / batch for value in (median(taken), min(taken), min(worked)))
        ratio = min(taken) / batch / floor
        print(f"| {name} | {batch} | {middle:,.0f} | {best:,.0f} | {ratio:.2f} | {work:,.0f} |", flush=True)


def memory(kind: str) -> None:
    """All examples in truth, ours alone: the time and the largest memory this process has held."""
    module = vision_transformer()
    images, labels = draw_images(EXAMPLES)
    took, worked = seconds(lambda: ours(module, images, labels, kind, 64 if kind == "sparse" else 256))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{kind}: {EXAMPLES:,} examples in {took:.0f} s ({worked:.0f} s of the processors), peak memory {peak:.2f} GiB"
    )


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
    """Measure what is asked for and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", choices=("sparse", "rademacher"), help="all the examples, ours alone")
    parser.add_argument("--only", choices=("agreement", "accuracy", "speed"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.set_verbosity_error()
    if options.memory:
        memory(options.memory)
        return
    steps: dict[str, Callable[[], None]] = {
        "agreement": agreement,
        "accuracy": accuracy,
        "speed": lambda: speed(options.repeats),
    }
    for name, step in steps.items():
        if options.only in (None, name):
            print(f"\n{name}\n")
            step()


if __name__ == "__main__":
    main()
