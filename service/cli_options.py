"""What several commands read alike."""

from __future__ import annotations

from service.errors import BadInput


def layer_numbers(text: str | None) -> list[int] | None:
    """``0,3-6`` as [0, 3, 4, 5, 6]. Raises BadInput."""
    if text is None:
        return None
    layers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BadInput(f"--layers needs numbers and ranges such as 0,3-6; got {text!r}")
        layers.update(range(int(first), int(last or first) + 1))
    return sorted(layers)


def dimension_numbers(text: str | None) -> list[int] | None:
    """``3,17,40`` as [3, 17, 40], each once. Raises BadInput."""
    found = numbers("--mask", text)
    return None if found is None else sorted(set(found))


def numbers(option: str, text: str | None) -> list[int] | None:
    """``10,30,100`` as [10, 30, 100]. Raises BadInput."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise BadInput(f"{option} needs whole numbers such as 10,30,100; got {text!r}")
    return [int(part) for part in parts]


def quoted(name: str) -> str:
    """A name as SQL writes it, for statements that take no parameters."""
    return "'" + name.replace("'", "''") + "'"
