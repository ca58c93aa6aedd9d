"""A real ``transformers.Trainer`` in a process of its own, and ``isoscope watch`` beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from command_process import ROOT, CommandProcess

TRAINER = """
import sys, time
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from service.networks.text_sources import python_reference
from service.networks.training import small_decoder, train_tokenizer
from service.networks.training_probe import text_probe

texts = python_reference().texts[:40]
tokenizer = train_tokenizer(texts, 300, "causal")
tokenizer.pad_token = tokenizer.eos_token
ids = text_probe(tokenizer, texts, windows=8, length=64)

class Slow(TrainerCallback):
    def on_step_end(self, *args, **kwargs):
        time.sleep(float(sys.argv[2]))

arguments = TrainingArguments(
    sys.argv[1], max_steps=int(sys.argv[3]), save_steps=int(sys.argv[4]), logging_steps=1, report_to=[], disable_tqdm=True,
    per_device_train_batch_size=2, use_cpu=True,
)
Trainer(
    small_decoder(32, 2, len(tokenizer)), arguments, train_dataset=[{"input_ids": row, "labels": row} for row in ids],
    processing_class=tokenizer, callbacks=[Slow()],
).train()
"""


def training(folder: Path, pause: float, steps: int, save: int) -> subprocess.Popen[bytes]:
    """A training that logs every step and saves every `save`; `pause` seconds of sleep a step."""
    command = [sys.executable, "-c", TRAINER, str(folder), str(pause), str(steps), str(save)]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class WatchProcess(CommandProcess):
    """``isoscope watch`` on a folder, with what it has said so far."""

    def __init__(self, folder: Path, store: Path, server: str, *arguments: str, **environment: str) -> None:
        common = ["--every", "0.2", "--sample", "128", "--measure", "anisotropy", "--measure", "twonn"]
        own = {"ISOSCOPE_STORE": str(store), "PREFECT_API_URL": server, **environment}
        super().__init__("watch", str(folder), *common, *arguments, merged=True, **own)

    def said(self) -> str:
        """Everything it has printed, on either stream."""
        return self.stdout

    def end(self, number: int) -> int:
        """Send a signal and wait; the exit status."""
        self.send_signal(number)
        return self.wait()
