"""A gallery: the training items that count most and least, images shown as images and texts as texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from service.report.asking import Answer

COLUMNS = ("target_item", "side", "rank", "train_item", "score", "preview", "train_items", "target_items", "targets")
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+={0,2}")  # all that may become the source of an image
SIDES = {"most": "most responsible", "least": "least responsible", "either": "largest, whatever the sign"}


@dataclass(frozen=True)
class Item:
    """A training item: a picture to be shown, or words to be quoted, or neither where nothing is known of it."""

    number: int
    score: float
    picture: str | None
    words: str | None


@dataclass(frozen=True)
class Strip:
    """One end of a list, the first item first."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Shown:
    """One attribution: both ends for the mean over its targets, and for some targets; and the rows behind them."""

    name: str
    about: str
    strips: tuple[Strip, ...]
    of_targets: tuple[Strip, ...]
    answer: Answer


def gallery(name: str, answer: Answer) -> Shown:
    """The items of one attribution, from rows of COLUMNS in the order in which they are to be shown."""
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    first = rows[0]
    about = (
        f"Of {first['train_items']} training items, for the mean over the {first['target_items']} target items of "
        f"{first['targets']}."
    )
    strips = [(target, _strip(target, side, group)) for (target, side), group in groupby(rows, _end)]
    return Shown(
        name,
        about,
        tuple(strip for target, strip in strips if target is None),
        tuple(strip for target, strip in strips if target is not None),
        _without_previews(answer),
    )


def _end(row: dict[str, Any]) -> tuple[int | None, str]:
    return row["target_item"], row["side"]


def _strip(target: int | None, side: str, rows: Any) -> Strip:
    title = SIDES.get(side, side)
    return Strip(title if target is None else f"target item {target}: {title}", tuple(map(_item, rows)))


def _item(row: dict[str, Any]) -> Item:
    preview = row["preview"]
    picture = preview if preview is not None and PICTURE.fullmatch(preview) else None
    return Item(row["train_item"], row["score"], picture, None if picture else preview)


def _without_previews(answer: Answer) -> Answer:
    """The rows as a table shows them, in which a picture would be a line of letters."""
    place = answer.columns.index("preview")
    rows = tuple((*row[:place], *row[place + 1 :]) for row in answer.rows)
    return replace(answer, columns=(*answer.columns[:place], *answer.columns[place + 1 :]), rows=rows)
