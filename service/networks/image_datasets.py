"""Fixed, hashed images in a seeded order: decoded, previewed, and made ready for a network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from jaxtyping import Float
from torch import Tensor

from service.errors import BadInput, UnknownName
from service.networks.coordinated_sample import mixed
from service.networks.image_sources import Images, find_images
from service.networks.pictures import Pixels, data_uri, decoded
from service.subjects import Dataset

if TYPE_CHECKING:
    from service.networks.datasets import Choice

DEFAULT_IMAGES = 2048  # that are read where nobody says how many
KEPT_BYTES = 2**28  # decoded images that are kept in memory
POOLED = ":pooled"


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images whose pixels were all read once: `digest` covers them and their order. Those that memory holds are kept."""

    images: Images
    digest: str
    kept: Mapping[int, Pixels] = field(repr=False)

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Where each item stands among the images."""
        return {item_id: place for place, item_id in enumerate(self.images.item_ids)}

    def image(self, item_id: int) -> Pixels:
        """The pixels of an item. Raises UnknownName."""
        if item_id not in self.place:
            raise UnknownName(f"unknown item {item_id}: {self.images.name} has {len(self.place)} images")
        if item_id in self.kept:
            return self.kept[item_id]
        place = self.place[item_id]
        return decoded(self.images.encoded[place], self.images.labels[place])


def gallery(images: Images) -> Gallery:
    """Every image decoded once. Raises BadInput for one that cannot be."""
    digest, kept, room = hashlib.sha256(), {}, KEPT_BYTES
    for item_id, encoded, label in zip(images.item_ids, images.encoded, images.labels, strict=True):
        pixels = decoded(encoded, label)
        digest.update(f"{item_id} {pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes())
        room -= pixels.nbytes
        if room >= 0:
            kept[item_id] = pixels
    return Gallery(images, digest.hexdigest()[:16], kept)


@lru_cache(maxsize=4)
def _gallery(name: str, stamp: tuple[object, ...]) -> Gallery | None:
    """The images of a name as they were at `stamp`: a command opens its dataset several times."""
    images = find_images(name)
    return None if images is None else gallery(images)


def _stamp(name: str) -> tuple[object, ...]:
    """What tells a folder or a file of images from itself after a change."""
    path = Path(name).expanduser()
    if not path.exists():
        path = Path(name.rpartition(":")[0] or name).expanduser()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(file.resolve()), file.stat()) for file in files if file.is_file()]
    return tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in stats)


@dataclass(frozen=True, eq=False)
class ImageItems:
    """A dataset of images. `item_ids` are all of them in their seeded order, of which the first are read by an extraction: as
    many as were chosen, or as `tokens` places need; `sample` is how many states were asked for, None where nobody said."""

    dataset: Dataset
    gallery: Gallery
    item_ids: tuple[int, ...]
    choice: Choice
    tokens: int | None = None
    sample: int | None = None

    @property
    def source_ids(self) -> tuple[int, ...]:
        """The ids of the whole source, where its splits are numbered together; none where they are not."""
        return self.gallery.images.source_ids

    def documents(self) -> None:
        """Every image is one of its own."""

    def windows(self, tokenizer: Any, max_length: int | None = None) -> NoReturn:
        """Images have no tokens. Raises BadInput."""
        raise BadInput(f"{self.dataset.name} is a dataset of images, and this network reads text")

    def image(self, item_id: int) -> Pixels:
        """The pixels (height, width, channels) of an item. Raises UnknownName, BadInput."""
        return self.gallery.image(item_id)

    def preview(self, item_id: int) -> str:
        """A small PNG of an item as a ``data:`` URI. Raises UnknownName, BadInput."""
        return data_uri(self.image(item_id))

    def column(self, name: str) -> dict[int, object]:
        """What a column holds of each item, by item. Raises UnknownName."""
        images = self.gallery.images
        if name not in images.columns:
            raise UnknownName.of(f"column of {images.name}", name, images.columns)
        return dict(zip(images.item_ids, images.values(name), strict=True))

    def inputs(self, reader: Any, item_ids: Sequence[int]) -> Float[Tensor, "images channels height width"]:
        """The items as a network reads them, on the CPU; `reader` is a vision network or its processor.

        Raises UnknownName, BadInput (images of several sizes where nothing resizes them).
        """
        ready: Tensor = getattr(reader, "processor", reader)([self.image(item_id) for item_id in item_ids])
        return ready

    def batches(
        self, reader: Any, size: int, item_ids: Sequence[int] | None = None
    ) -> Iterator[tuple[tuple[int, ...], Float[Tensor, "images channels height width"]]]:
        """`size` items at a time with their inputs, all of them in the seeded order or those given in theirs."""
        chosen = tuple(self.item_ids if item_ids is None else item_ids)
        for start in range(0, len(chosen), size):
            group = chosen[start : start + size]
            yield group, self.inputs(reader, group)

    def read(self, places: int) -> tuple[int, ...]:
        """The items that an extraction reads where the network has `places` states of each. Raises BadInput."""
        wanted = self.choice.texts or (-(-self.tokens // places) if self.tokens else None)
        if wanted and wanted > len(self.item_ids):
            asked = f"{self.tokens} states" if self.tokens and not self.choice.texts else f"{wanted} images"
            there = len(self.item_ids)
            raise BadInput(
                f"{asked} were asked for, and {self.dataset.name} has {there * places} states of {there} images"
            )
        return self.item_ids[: wanted or DEFAULT_IMAGES]


def open_images(
    name: str,
    suffix: str,
    choice: Choice,
    *,
    tokens: int | None = None,
    window: int | None = None,
    sample: int | None = None,
) -> ImageItems | None:
    """The dataset of images of that name, None where it stands for no images. ``:pooled`` at the end of the name asks for one
    state an image; `suffix` gives the other choices as they stand in the dataset's key.

    Raises UnknownName, BadInput.
    """
    base = name.removesuffix(POOLED)
    held = _gallery(base, _stamp(base))
    if held is None:
        return None
    if window or choice.length or choice.last or not choice.punctuation:
        raise BadInput(f"{base} is a dataset of images: a window, a length, last tokens and punctuation are of texts")
    if base != name:
        suffix = f"[{suffix[1:-1]},pooled]" if suffix else "[pooled]"
        choice = replace(choice, pooled=True)
    order = np.argsort(mixed(np.array(held.images.item_ids, dtype=np.uint64)), kind="stable")
    item_ids = tuple(held.images.item_ids[place] for place in order)
    images, limit = held.images, choice.texts or DEFAULT_IMAGES
    dataset = Dataset(
        name=images.name + suffix,
        source=images.source,
        digest=held.digest,
        items=len(item_ids) if tokens else min(len(item_ids), limit),
        characters=0,
        revision=images.revision,
        split=images.split,
        modality="image",
        licence=images.licence,
    )
    return ImageItems(dataset, held, item_ids, choice, tokens, sample)
