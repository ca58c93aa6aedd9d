"""What a step of training a map between two networks costs, with the second's lower blocks passed over and with them run.

    python benchmarks/stitching.py

Steps of both kinds take turns in one process, so that a busy machine is busy for both; the ratio of a pair of neighbours is one
measurement. The networks are GPT-NeoXs with random weights: time does not depend on what they are.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import open_dataset
from service.networks.loading import Network
from service.networks.stitch_maps import StitchMap
from service.networks.stitch_training import BATCH, mean_loss
from service.networks.stitches import Inputs, Stitch
from service.networks.text_sources import python_reference
from service.networks.training import small_decoder, train_tokenizer


def saved(folder: Path, width: int, depth: int, vocabulary: int, seed: int) -> Network:
    """A random network, as it is loaded."""
    tokenizer = train_tokenizer(python_reference().texts, vocabulary, "causal")
    small_decoder(width, depth, len(tokenizer), seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(find_checkpoints(str(folder))[0], device="cpu")


def seconds(stitch: Stitch, phi: StitchMap, inputs: Inputs) -> float:
    """Those of one step: both networks forward, the map's gradient backward."""
    begun = time.perf_counter()
    mean_loss(stitch.logits(phi, inputs), inputs).backward()
    return time.perf_counter() - begun


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--width", type=int, default=128)
    asked.add_argument("--depth", type=int, default=12)
    asked.add_argument("--vocabulary", type=int, default=512)
    asked.add_argument("--repeats", type=int, default=7)
    asked.add_argument("--threads", type=int, default=1)
    given = asked.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as place:
        bottom, top = (
            saved(Path(place) / str(seed), given.width, given.depth, given.vocabulary, seed) for seed in (0, 1)
        )
        whole = replace(top, blocks=replace(top.blocks, bare=False))  # of which the lower blocks are run
        phi = StitchMap("affine", torch.eye(given.width), torch.zeros(given.width))
        windows = list(open_dataset("python-reference").stream(top.tokenizer, bottom.max_length))[:BATCH]
        for layer in range(given.depth // 4, given.depth + 1, given.depth // 4):
            stitches = [Stitch(bottom, one, layer, layer) for one in (whole, top)]
            inputs = stitches[0].inputs(windows)
            with stitches[0].frozen(), stitches[1].frozen():
                pairs = [[seconds(one, phi, inputs) for one in stitches] for _ in range(given.repeats + 1)][1:]
            run, passed = (median(side) for side in zip(*pairs, strict=True))
            ratios = sorted(after / before for before, after in pairs)
            print(
                f"layer {layer}: {run:.3f} s with the lower blocks, {passed:.3f} s without, ratio {median(ratios):.3f} "
                f"({ratios[0]:.3f} to {ratios[-1]:.3f})"
            )


if __name__ == "__main__":
    main()
