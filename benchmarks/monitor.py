"""What GeometryMonitor costs a training at its default interval, on a network of width 768.

    python benchmarks/monitor.py

Blocks of 10 steps with a monitor and without one take turns in one process, so that a busy machine is busy for both;
the ratio of a pair of neighbours is one measurement. The network is a GPT-NeoX with random weights on random tokens:
time does not depend on what they are.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch.nn.functional import cross_entropy
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from service.training_monitor import EVERY, GeometryMonitor

WIDTH, VOCABULARY, LIMIT = 768, 50_304, 0.03
PROBE = (8, 128)


def network(layers: int, device: str) -> GPTNeoXForCausalLM:
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=2048,
    )
    return GPTNeoXForCausalLM(config).to(device)


class Loop:
    """An ordinary training loop, whose steps go on counting from block to block."""

    def __init__(self, layers: int, batch: int, length: int, device: str) -> None:
        self.module = network(layers, device)
        self.shape, self.device, self.step = (batch, length), device, 0
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=1e-4)

    def block(self, monitor: GeometryMonitor | None) -> float:
        """Seconds that `EVERY` steps take."""
        begun = time.perf_counter()
        for _ in range(EVERY):
            self.step += 1
            tokens = torch.randint(VOCABULARY, self.shape, device=self.device)
            logits = self.module(tokens).logits
            loss = cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            if monitor is not None:
                monitor.step(self.step, loss, norm)
            else:
                loss.item()
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8, help="windows in a training batch")
    parser.add_argument("--length", type=int, default=256, help="tokens in a window")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    loop = Loop(asked.layers, asked.batch, asked.length, asked.device)
    loop.block(None)
    with tempfile.TemporaryDirectory() as folder:
        probe = torch.randint(VOCABULARY, PROBE)
        with GeometryMonitor(loop.module, probe, "benchmark", store=Path(folder) / "store") as monitor:
            pairs = [(loop.block(None), loop.block(monitor)) for _ in range(asked.repeats)]
    ratios = [with_it / without - 1 for without, with_it in pairs]
    print(
        "| device | layers | tokens in a batch | 10 steps (s) | with the monitor (s) | cost, median (range) | at most | |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {asked.device} | {asked.layers} | {asked.batch * asked.length:,} | {median(pair[0] for pair in pairs):.2f} | "
        f"{median(pair[1] for pair in pairs):.2f} | {median(ratios):.2%} ({min(ratios):.2%} to {max(ratios):.2%}) | "
        f"{LIMIT:.0%} | {'holds' if median(ratios) <= LIMIT else 'FAILS'} |"
    )


if __name__ == "__main__":
    main()
