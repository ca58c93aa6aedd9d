"""Texts that speak of a subject and ask for what comes next: as they are, after other texts, and as a neutral sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from service.errors import BadInput
from service.networks.edit_cases import NOT_ASKED, Cases, scores_of
from service.networks.edit_settings import refuse_cases
from service.networks.loading import Network

PREFIX_LENGTHS = (5,) * 5 + (10,) * 5  # tokens; half of each of those of the authors' code


@dataclass(frozen=True, eq=False)
class SubjectPrompt:
    """One text, without padding, on the CPU.

    `targets` are the tokens asked for after each place, `NOT_ASKED` elsewhere; `first` and `last` the places of the subject's
    tokens. The `leading` tokens are special ones that every text starts with.
    """

    ids: Int[Tensor, " length"]
    targets: Int[Tensor, " length"]
    first: int
    last: int
    leading: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def end(self) -> int:
        """The place of the prompt's last token: the first after which something is asked."""
        return int((self.targets != NOT_ASKED).nonzero()[0])

    @property
    def subject(self) -> tuple[int, ...]:
        """The tokens of the subject."""
        return tuple(self.ids[self.first : self.last + 1].tolist())

    def after(self, prefix: Int[Tensor, " more"]) -> SubjectPrompt:
        """The same behind some other text."""
        ids, targets = (
            torch.cat([own[: self.leading], more, own[self.leading :]])
            for own, more in ((self.ids, prefix), (self.targets, torch.full_like(prefix, NOT_ASKED)))
        )
        return replace(self, ids=ids, targets=targets, first=self.first + len(prefix), last=self.last + len(prefix))


@dataclass(frozen=True, eq=False)
class PromptRows:
    """Prompts padded on the right to one length, on the network's device; `places` are those of the subjects' last tokens."""

    inputs: dict[str, Tensor]
    targets: Int[Tensor, "rows length"]
    places: Int[Tensor, " rows"]


def subject_prompts(network: Network, cases: Cases, asker: str) -> list[SubjectPrompt]:
    """Each case as a prompt. `asker` is what needs them, for the errors.

    Raises BadInput for a network that is no decoder, and for cases without a subject, or whose subject does not lie in the
    text that asks, or that `refuse_cases` refuses; NetworkMismatch for a network without a head.
    """
    label, kind = network.checkpoint.label, network.facts.kind
    if kind != "decoder":
        given = {"encoder": "an encoder", "vision": "a network that reads images"}.get(kind, kind)
        raise BadInput(f"{asker} needs a decoder, and {label} is {given}: give another method or another network")
    if cases.subjects is None or not len(cases):
        what = "cases that name a subject" if len(cases) else "a case at least"
        raise BadInput(f"{asker} needs {what}: give the task's texts a subject, or another method")
    refuse_cases(network, cases)
    special = torch.tensor(network.tokenizer.all_special_ids, dtype=torch.long)
    return [_prompt(cases, row, special, asker) for row in range(len(cases))]


def _prompt(cases: Cases, row: int, special: Tensor, asker: str) -> SubjectPrompt:
    ids, targets = cases.inputs["input_ids"][row].cpu(), cases.targets[row].cpu()
    mask = cases.inputs.get("attention_mask")
    there = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask[row].cpu().bool()
    padding = int(there.int().argmax())
    first, last = (int(place) - padding for place in cases.subjects[row])  # type: ignore[index]
    ids, targets = ids[there], targets[there]
    asked = (targets != NOT_ASKED).nonzero()
    if not 0 <= first <= last <= int(asked[0]):
        where = f"tokens {first} to {last}, and token {int(asked[0]) + 1} is asked for"
        raise BadInput(
            f"{asker} needs a subject in the text that comes before what is asked: that of case {row} is {where}"
        )
    leading = int(torch.isin(ids[:first], special).long().cumprod(0).sum())
    return SubjectPrompt(ids, targets, first, last, leading)


def prompt_rows(network: Network, prompts: Sequence[SubjectPrompt]) -> PromptRows:
    """Prompts as one batch."""
    length = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), length), network.tokenizer.pad_token_id or 0)
    targets, mask = torch.full_like(ids, NOT_ASKED), torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)], targets[row, : len(prompt)], mask[row, : len(prompt)] = prompt.ids, prompt.targets, 1
    places = torch.tensor([prompt.last for prompt in prompts])
    place = network.device
    return PromptRows(
        {"input_ids": ids.to(place), "attention_mask": mask.to(place)}, targets.to(place), places.to(place)
    )


def subject_text(network: Network, prompt: SubjectPrompt) -> str:
    """The subject as a text, without space around it."""
    said: str = network.tokenizer.decode(prompt.subject, clean_up_tokenization_spaces=False)
    return said.strip()


def neutral_prompt(network: Network, prompt: SubjectPrompt) -> SubjectPrompt:
    """The sentence "{subject} is a" of a prompt's subject, which asks nothing."""
    subject = subject_text(network, prompt)
    encoded = network.tokenizer(f"{subject} is a", return_offsets_mapping=True)
    ids = torch.tensor(encoded["input_ids"])
    own = [place for place, (start, end) in enumerate(encoded["offset_mapping"]) if start < min(end, len(subject))]
    places = own or [0]
    return SubjectPrompt(ids, torch.full_like(ids, NOT_ASKED), places[0], places[-1], 0)


@torch.no_grad()
def random_prefixes(network: Network, seed: int) -> list[Int[Tensor, " tokens"]]:
    """Beginnings of texts that the network says by itself, drawn token by token, each closed by a full stop and a new line."""
    generator = torch.Generator().manual_seed(seed)
    tokenizer, longest = network.tokenizer, max(PREFIX_LENGTHS)
    said = torch.randint(len(tokenizer), (len(PREFIX_LENGTHS), 1), generator=generator)
    start = next((one for one in (tokenizer.bos_token_id, tokenizer.eos_token_id) if one is not None), None)
    if start is not None:
        said.fill_(start)
    for _ in range(longest):
        scores = scores_of(network, {"input_ids": said.to(network.device)})[:, -1].cpu()
        drawn = torch.multinomial(scores[:, : len(tokenizer)].nan_to_num().softmax(-1), 1, generator=generator)
        said = torch.cat([said, drawn], dim=1)
    stop = torch.tensor(tokenizer(".\n", add_special_tokens=False)["input_ids"], dtype=torch.long)
    return [torch.cat([said[row, 1 : 1 + length], stop]) for row, length in enumerate(PREFIX_LENGTHS)]


def with_prefixes(
    network: Network, prompt: SubjectPrompt, prefixes: Sequence[Int[Tensor, " tokens"]]
) -> list[SubjectPrompt]:
    """The prompt as it is, and behind each prefix that the network's longest input has room for."""
    room = None if network.max_length is None else network.max_length - len(prompt)
    return [prompt, *(prompt.after(prefix) for prefix in prefixes if room is None or len(prefix) <= room)]
