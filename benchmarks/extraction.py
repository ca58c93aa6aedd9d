"""What extraction costs over a bare forward pass, and whether its memory grows with the number of tokens.

``python benchmarks/extraction.py`` prints Markdown. The network is a GPT-NeoX of Pythia-160M's size with random weights:
time does not depend on what they are. Both passes run the same batches, in turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from service.networks.batches import CPU_BATCH, Batches
from service.networks.checkpoints import Network, find_checkpoints, load
from service.networks.datasets import Items, open_dataset
from service.networks.hidden_states import extract
from service.networks.text_sources import python_reference
from service.networks.training import Recipe, small_decoder, train, train_tokenizer

LIMITS = {"cpu": 1.25, "cuda": 1.15}
VOCABULARY = 50_304
CUDA_BATCH = 64
SAMPLE = 4096


def network_folder(folder: Path, width: int, layers: int, heads: int, vocabulary: int) -> Path:
    """A random network as an ordinary checkpoint folder."""
    texts = python_reference().texts
    tokenizer = train_tokenizer(texts, min(vocabulary, 8192), "causal")
    module = small_decoder(width, layers, vocabulary, heads=heads)
    return train(module, tokenizer, texts, folder, Recipe(steps=0, save_steps=(0,))) / "step0"


def bare_pass(network: Network, items: Items, size: int) -> None:
    """The network over the same batches, and nothing else."""
    windows = items.windows(network.tokenizer, network.max_length)
    batches = Batches(windows, SAMPLE, network.tokenizer.pad_token_id or 0, items.dataset.name)
    with torch.inference_mode():
        for batch in batches.of(size, network.device):
            network.module(**batch.inputs)
    if network.device.type == "cuda":
        torch.cuda.synchronize()


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """How long a call takes: by the clock, and of this process's CPU time, which a busy machine stretches less."""
    begun, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - begun, time.process_time() - used


def overhead(folder: Path, device: str, repeats: int) -> str:
    """One table row: bare pass, extraction, and their ratio, each repeat in turns."""
    network = load(find_checkpoints(str(folder))[0], device=device)
    items = open_dataset("python-reference")
    size = CPU_BATCH if device == "cpu" else CUDA_BATCH
    tokens = sum(len(window) for window in items.windows(network.tokenizer, network.max_length))
    bare_pass(network, open_dataset("python-reference", tokens=SAMPLE), size)
    bare, whole = [], []
    for _ in range(repeats):
        bare.append(seconds(lambda: bare_pass(network, items, size)))
        whole.append(seconds(lambda: extract(network, items, SAMPLE, size)))
    by_clock, by_cpu = ([one[kind] / other[kind] for one, other in zip(whole, bare, strict=True)] for kind in (0, 1))
    ratio = median(by_clock)
    return (
        f"| {network.facts.device}, {torch.get_num_threads()} threads | {tokens:,} | {size} | {min(bare)[0]:.2f} | "
        f"{min(whole)[0]:.2f} | {ratio:.3f} ({min(by_clock):.3f} to {max(by_clock):.3f}) | {median(by_cpu):.3f} | "
        f"{LIMITS[device]} | {'holds' if ratio <= LIMITS[device] else 'FAILS'} |"
    )


def peak_of(folder: str, tokens: int) -> None:
    """Print this process's peak memory (MiB) after extraction from `tokens` tokens."""
    torch.set_num_threads(2)
    network = load(find_checkpoints(folder)[0], device="cpu")
    extract(network, open_dataset("library-docstrings", tokens=tokens), SAMPLE)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would hold what the parent had before exec
    print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)


def peak(folder: Path, tokens: int) -> float:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--peak-of", str(folder), str(tokens)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def memory(folder: Path) -> str:
    """One table row: peak memory at 10,000 and at 100,000 tokens."""
    small, large = peak(folder, 10_000), peak(folder, 100_000)
    verdict = "holds" if large <= 1.1 * small else "FAILS"
    return f"| 4 layers, width 128 | {small:,.0f} | {large:,.0f} | {large / small:.3f} | 1.10 | {verdict} |"


def main() -> None:
    """Measure both and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peak-of", nargs=2, metavar=("FOLDER", "TOKENS"))
    options = parser.parse_args()
    if options.peak_of:
        return peak_of(options.peak_of[0], int(options.peak_of[1]))
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        wide = network_folder(Path(folder) / "wide", 768, 12, 12, VOCABULARY)
        narrow = network_folder(Path(folder) / "narrow", 128, 4, 4, 8192)
        rows = [
            overhead(wide, device, options.repeats) for device in LIMITS if device == "cpu" or torch.cuda.is_available()
        ]
        print(
            "GPT-NeoX, 12 layers, width 768, vocabulary 50,304, float32; all 14 sites, moments, sample of 4,096, loss\n"
        )
        print(
            "| device | tokens | batch (windows) | bare pass (s) | extraction (s) | ratio | of CPU time | at most | |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        print("\n".join(rows))
        print("\nPeak host memory of a process of its own (MiB), `library-docstrings`\n")
        print("| network | 10,000 tokens | 100,000 tokens | ratio | at most | |\n|---|---|---|---|---|---|")
        print(memory(narrow))
    return None


if __name__ == "__main__":
    main()
