"""How long projected gradients take, against TRAK's released code (traker) and dattri.

A vision transformer of about a million parameters, gradients of the margin projected to 2,048 dimensions. One batch costs as
much as another, so that a few are timed, all sides in turn, and multiplied. The peers do what they do on a CPU: random
numbers drawn anew for every batch of 64, a hundred dimensions at a time. `--memory` runs all 10,000 examples through ours.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from statistics import median

import torch
import transformers
from attribution_scores import features, names
from torch import Tensor, nn
from torch.func import functional_call

from service.measures.projection import Projection
from service.networks.gradients import ExampleGradients, per_example
from service.networks.output_functions import ClassMargin, margin

EXAMPLES, WIDTH, PEERS_BATCH, OURS_A_TURN = 10_000, 2048, 64, 5


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


def main() -> None:
    """Measure what is asked for and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", choices=("sparse", "rademacher"), help="all the examples, ours alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.utils.logging.set_verbosity_error()
    if options.memory:
        memory(options.memory)
    else:
        speed(options.repeats)


if __name__ == "__main__":
    main()
