"""The cases of a task of prompts: what a decoder is to go on with after each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from service.errors import BadInput
from service.networks.batches import padded
from service.networks.datasets import TextWindows
from service.networks.edit_cases import NOT_ASKED, VALIDATION_SEED, Cases, CaseSets, Unrelated
from service.networks.edit_tasks import Prompt, Task
from service.networks.loading import Network
from service.networks.robustness import item_seed
from service.networks.text_corruptions import corrupted_text
from service.networks.token_windows import TokenWindow, tokenised

PIECE = 40  # characters of a text before a prompt, at most
FEWEST = 12


@dataclass(frozen=True)
class Asked:
    """A text that ends with what is asked for: `target` characters of it; `subject` is where the prompt's subject stands."""

    text: str
    target: int
    subject: tuple[int, int] | None = None


def text_case_sets(network: Network, task: Task, items: TextWindows, seed: int) -> CaseSets:
    """The cases of a task of prompts. Raises BadInput."""
    if not isinstance(items, TextWindows):
        raise BadInput(
            f"{network.checkpoint.label} reads texts, and {task.dataset} is none of texts: give a dataset of texts"
        )
    if network.facts.kind != "decoder" or not network.predicts:
        raise BadInput(f"{network.checkpoint.label} does not predict the next token: prompts are asked of decoders")
    validation = list(islice(_pieces(items, VALIDATION_SEED), task.held_out))
    others = (piece for piece in _pieces(items, seed) if piece not in validation)
    pieces = list(islice(others, task.contexts + task.held_out))
    if len(pieces) < task.contexts + task.held_out:
        raise BadInput(
            f"{items.dataset.name} gives {len(validation) + len(pieces)} pieces to put before prompts, and the task asks for "
            f"{task.contexts} contexts and twice {task.held_out} held-out ones: give a larger dataset"
        )
    first, held_out = ["", *pieces[: task.contexts]], pieces[task.contexts :]
    told = [replaced for prompt in task.prompts for replaced in _paraphrased(prompt)]
    windows = list(islice(items.stream(network.tokenizer, network.max_length), 2 * task.unrelated))
    if len(windows) < 2:
        raise BadInput(f"{items.dataset.name} has {len(windows)} windows: 2 or more show what else an edit changes")
    half = len(windows) // 2
    return CaseSets(
        text_cases(network, asked(task.prompts, first)),
        text_cases(network, asked(task.prompts, validation)),
        text_cases(network, asked(task.prompts, held_out)),
        {"paraphrases": text_cases(network, asked(told, ["", *held_out[:2]]))} if told else {},
        lambda family, severity: text_cases(
            network,
            [
                _corrupted(one, family, severity, item_seed(seed, place))
                for place, one in enumerate(asked(task.prompts, held_out))
            ],
        ),
        _unrelated(network, windows[:half]),
        _unrelated(network, windows[half:]),
    )


def _unrelated(network: Network, windows: Sequence[TokenWindow]) -> Unrelated:
    inputs = padded(windows, network.tokenizer.pad_token_id or 0, network.device)
    return Unrelated(inputs, inputs["attention_mask"].bool().cpu())


def asked(prompts: Sequence[Prompt], pieces: Sequence[str]) -> list[Asked]:
    """Every prompt with its target, after every piece of text."""
    return [_after(piece, prompt) for prompt in prompts for piece in pieces]


def text_cases(network: Network, texts: Sequence[Asked]) -> Cases:
    """Texts as the network reads them, with the tokens of their targets asked for.

    Raises BadInput for a target that is no token, or that the network does not have, and for what is too long for it.
    """
    windows = [_window(network, one) for one in texts]
    inputs = padded(windows, network.tokenizer.pad_token_id or 0, network.device)
    targets = torch.full_like(inputs["input_ids"], NOT_ASKED)
    for row, (one, window) in enumerate(zip(texts, windows, strict=True)):
        places = np.flatnonzero((window.char_end > len(one.text) - one.target) & ~window.special)
        if not len(places) or places[0] == 0:
            raise BadInput(f"{one.text[-one.target :]!r} is no token of {network.checkpoint.label} after {one.text!r}")
        _refuse_unknown(network, one, window.token_ids[places])
        targets[row, torch.from_numpy(places - 1)] = inputs["input_ids"][row, torch.from_numpy(places)]
    subjects = None
    if all(one.subject is not None for one in texts):
        places_of = [_places(window, one.subject or (0, 0)) for one, window in zip(texts, windows, strict=True)]
        subjects = torch.tensor(places_of, device=network.device)
    return Cases(inputs, targets, None, subjects)


def _after(piece: str, prompt: Prompt) -> Asked:
    text = piece + prompt.prompt
    start = None if prompt.subject is None else len(piece) + prompt.prompt.rfind(prompt.subject)
    subject = None if start is None or prompt.subject is None else (start, start + len(prompt.subject))
    return Asked(text + prompt.target, len(prompt.target), subject)


def _corrupted(one: Asked, family: str, severity: int, seed: int) -> Asked:
    cut = len(one.text) - one.target
    return Asked(corrupted_text(one.text[:cut], family, severity, seed) + one.text[cut:], one.target)


def _paraphrased(prompt: Prompt) -> Iterator[Prompt]:
    return (Prompt(prompt=text, target=prompt.target) for text in prompt.paraphrases)


def _pieces(items: TextWindows, seed: int) -> Iterator[str]:
    """Beginnings of the dataset's texts in an order of their own, each cut after a word, and no two alike."""
    order = torch.randperm(len(items.texts), generator=torch.Generator().manual_seed(seed)).tolist()
    said = set[str]()
    for place in order:
        words = " ".join(items.texts[place][1].split())[:PIECE].rpartition(" ")[0]
        if len(words) >= FEWEST and words not in said:
            said.add(words)
            yield f"{words}. "


def _window(network: Network, one: Asked) -> TokenWindow:
    """The text's tokens without those that the tokenizer puts after it, and without the earliest where they are too many."""
    whole = tokenised(network.tokenizer, 0, one.text, None)
    last = int(np.flatnonzero(~whole.special).max(initial=-1)) + 1
    kept = np.arange(last)
    if network.max_length and last > network.max_length:
        lead = int(np.argmin(whole.special[:last]))
        kept = np.concatenate([kept[:lead], kept[lead:][lead - network.max_length :]])
        needed = len(one.text) - one.target if one.subject is None else one.subject[0]
        if whole.char_end[kept[lead] - 1] > needed:
            raise BadInput(
                f"a prompt with its target has {last} tokens, and {network.checkpoint.label} reads {network.max_length} at most"
            )
    return TokenWindow(0, whole.token_ids[kept], whole.char_end[kept], whole.special[kept])


def _places(window: TokenWindow, subject: tuple[int, int]) -> tuple[int, int]:
    """The first and the last token that hold some of the subject."""
    starts = np.concatenate([[0], window.char_end[:-1]])
    held = np.flatnonzero((window.char_end > subject[0]) & (starts < subject[1]) & ~window.special)
    return int(held[0]), int(held[-1])


def _refuse_unknown(network: Network, one: Asked, token_ids: np.ndarray) -> None:
    unknown = network.tokenizer.unk_token_id
    if (unknown is not None and unknown in token_ids) or int(token_ids.max()) >= network.embedded_tokens:
        raise BadInput(f"{network.checkpoint.label} has no token for {one.text[-one.target :]!r}")
