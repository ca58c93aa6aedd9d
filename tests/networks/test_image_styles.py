"""Styles of images: what each one does to which pixels, and that it is the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from small_pictures import colour_pictures, grey_pictures

from service.errors import BadInput, BadShape, UnknownName
from service.networks.image_styles import STYLES, styled, styles_for

GREY = grey_pictures()[0]
KINDS = [(style, 1) for style in styles_for(GREY)] + [(style, 3) for style in STYLES]


@pytest.mark.parametrize(("style", "channels"), KINDS)
def test_a_style_changes_every_image_the_same_way_each_time(style, channels):
    for image in grey_pictures() if channels == 1 else colour_pictures():
        before = image.copy()
        found = styled(image, style)
        assert (found.shape, found.dtype) == (image.shape, np.uint8)
        assert np.array_equal(found, styled(image, style))
        assert not np.array_equal(found, image)
        assert np.array_equal(before, image)


def test_the_styles_by_hand():
    image = np.zeros((4, 4, 1), dtype=np.uint8)
    image[0, 0], image[1, 2] = 200, 100
    expected = {
        "checker": [[200, 64, 0, 64], [64, 0, 114, 0], [0, 64, 0, 64], [64, 0, 64, 0]],
        "corner": [[200, 0, 0, 0], [0, 0, 100, 0], [0, 0, 255, 255], [0, 0, 255, 255]],
        "frame": [[255] * 4, [255, 0, 100, 255], [255, 0, 0, 255], [255] * 4],
        "invert": [[55, 255, 255, 255], [255, 255, 155, 255], [255] * 4, [255] * 4],
        "posterise": [[255, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4],
        "stripes": [[200, 0, 0, 0], [255] * 4, [0] * 4, [0] * 4],
        "none": image[..., 0],
    }
    assert set(expected) == {*styles_for(GREY), "none"}
    for style, rows in expected.items():
        assert np.array_equal(styled(image, style)[..., 0], rows), style
    red = styled(np.full((2, 2, 3), 200, dtype=np.uint8), "tint")
    assert np.array_equal(red[1, 1], [200, 90, 90])


def test_lines_and_squares_grow_with_the_image():
    for side in (8, 16, 32, 64):
        image = np.zeros((side, side, 1), dtype=np.uint8)
        unit = max(1, side // 16)
        assert (styled(image, "corner") == 255).sum() == (2 * unit) ** 2
        assert (styled(image, "frame") == 255).sum() == side**2 - (side - 2 * unit) ** 2
        assert (styled(image, "stripes") == 255).mean() == 0.25
        assert (styled(image, "checker") == 64).mean() == 0.5


def test_a_style_nobody_knows_or_that_a_grey_image_cannot_have_is_refused():
    digit = grey_pictures()[0]
    with pytest.raises(UnknownName, match=r"unknown style 'inverted': did you mean 'invert'\?"):
        styled(digit, "inverted")
    with pytest.raises(BadInput, match="tint needs colours, and the image is grey: give another of checker, "):
        styled(digit, "tint")
    assert set(STYLES) - set(styles_for(GREY)) == {"tint"}
    with pytest.raises(BadShape, match="an image needs to be uint8"):
        styled(digit / 255, "invert")
