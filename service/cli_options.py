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
