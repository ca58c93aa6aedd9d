"""Corruptions of images: shapes, seeds, ever more damage, and what independent implementations say."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from small_pictures import colour_pictures, grey_pictures

from service.errors import BadInput, BadShape, UnknownName
from service.networks.image_corruptions import FAMILIES, PARAMETERS, TINY_PARAMETERS, corrupted, families_for

DRAWN = ("gaussian-noise", "shot-noise", "impulse-noise", "speckle-noise", "motion-blur", "elastic")
BLURS = ("gaussian-blur", "defocus-blur", "motion-blur", "zoom-blur")
GREY, COLOUR = grey_pictures()[0], colour_pictures()[0]
KINDS = [(family, 1) for family in families_for(GREY)] + [(family, 3) for family in FAMILIES]


def pictures(channels):
    """Grey digits or pieces of colour photographs."""
    return grey_pictures() if channels == 1 else colour_pictures()


def plain(value, channels=3, side=64):
    """An image of one shade."""
    return np.full((side, side, channels), value, dtype=np.uint8)


def damage(images, family, severity):
    """Mean absolute difference, of 255."""
    found = [corrupted(image, family, severity, seed).astype(float) - image for seed, image in enumerate(images)]
    return np.mean([np.abs(difference).mean() for difference in found])


@pytest.mark.parametrize(("family", "channels"), KINDS)
def test_shape_and_type_stay_and_one_seed_gives_one_image(family, channels):
    for image in pictures(channels)[:3]:
        before = image.copy()
        for severity in range(1, 6):
            found, again = (corrupted(image, family, severity, seed=3) for _ in range(2))
            assert (found.shape, found.dtype) == (image.shape, np.uint8)
            assert np.array_equal(found, again)
        assert np.array_equal(image, before)
        other = corrupted(image, family, 5, seed=4)
        assert np.array_equal(found, other) == (family not in DRAWN)


@pytest.mark.parametrize(("family", "channels"), KINDS)
def test_the_damage_rises_with_severity_on_real_images(family, channels):
    found = [damage(pictures(channels), family, severity) for severity in range(6)]
    assert found[0] == 0
    assert found[1] > 0.5
    assert np.all(np.diff(found) > 0), found


@pytest.mark.parametrize("channels", [1, 3])
def test_severity_0_and_the_family_none_change_nothing(channels):
    for image in pictures(channels)[:5]:
        assert all(np.array_equal(corrupted(image, family, 0, 1), image) for family in FAMILIES)
        assert all(np.array_equal(corrupted(image, "none", severity, 1), image) for severity in range(6))


def test_grey_images_lack_the_family_of_colours():
    assert set(FAMILIES) - set(families_for(GREY)) == {"saturate"}
    assert families_for(COLOUR) == FAMILIES
    with pytest.raises(
        BadInput, match=r"saturate needs colours, and the image is grey: give another of gaussian-noise, "
    ):
        corrupted(grey_pictures()[0], "saturate", 1, 0)


def test_an_unknown_family_or_severity_is_refused_with_the_nearest_name():
    image = grey_pictures()[0]
    with pytest.raises(UnknownName, match=r"unknown corruption 'gausian-noise': did you mean 'gaussian-noise'\?"):
        corrupted(image, "gausian-noise", 1, 0)
    with pytest.raises(BadInput, match=r"unknown severity 7: did you mean 5\? known: 0 \(untouched\) to 5"):
        corrupted(image, "jpeg", 7, 0)
    with pytest.raises(BadInput, match=r"unknown severity -1: did you mean 0\?"):
        corrupted(image, "none", -1, 0)


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 1)), np.zeros((8, 8, 2), np.uint8)])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(BadShape, match="an image needs to be uint8"):
        corrupted(image, "contrast", 1, 0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (5, 40, 3), (64, 48, 3), (80, 80, 1)])
def test_any_size_of_image_is_taken(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for family in families_for(image):
        assert all(corrupted(image, family, severity, 0).shape == shape for severity in (1, 5))


def test_noises_are_as_strong_as_their_parameters_say():
    grey = plain(128)
    for place in range(5):
        found = {name: corrupted(grey, name, place + 1, 0) / 255 for name in DRAWN[:4]}
        usual = {name: PARAMETERS[name][place] for name in DRAWN[:4]}
        assert found["gaussian-noise"].std() == pytest.approx(usual["gaussian-noise"], rel=0.05)
        assert found["shot-noise"].var() == pytest.approx(128 / 255 / usual["shot-noise"], rel=0.05)
        assert found["speckle-noise"].std() == pytest.approx(128 / 255 * usual["speckle-noise"], rel=0.05)
        struck = found["impulse-noise"][corrupted(grey, "impulse-noise", place + 1, 0) != 128]
        assert len(struck) / grey.size == pytest.approx(usual["impulse-noise"], rel=0.2)
        assert set(struck) == {0, 1}
        assert struck.mean() == pytest.approx(0.5, abs=0.15)


def test_images_of_few_pixels_have_parameters_of_their_own():
    small, large = (corrupted(plain(128, 1, side), "gaussian-noise", 5, 0).std() for side in (15, 16))
    assert small / 255 == pytest.approx(TINY_PARAMETERS["gaussian-noise"][4], rel=0.2)
    assert large / 255 == pytest.approx(PARAMETERS["gaussian-noise"][4], rel=0.2)


@pytest.mark.parametrize("family", BLURS)
def test_a_blur_moves_light_and_makes_none(family):
    for severity in range(1, 6):
        assert np.array_equal(corrupted(plain(77, 1), family, severity, 0), plain(77, 1))
        if family != "zoom-blur":  # which widens what is bright
            dot = plain(0, 1)
            dot[30:34, 30:34] = 255
            assert corrupted(dot, family, severity, 0).sum() == pytest.approx(float(dot.sum()), rel=0.02)


def test_a_blur_of_a_larger_image_reaches_as_much_further():
    image = colour_pictures()[0]
    large = np.kron(image, np.ones((4, 4, 1), np.uint8))
    for family in BLURS:
        small, grown = (corrupted(one, family, 5, 2).astype(float) for one in (image, large))
        shrunk = grown.reshape(32, 4, 32, 4, 3).mean((1, 3))
        assert np.abs(shrunk - small)[4:-4, 4:-4].mean() < 0.35 * np.abs(small - image)[4:-4, 4:-4].mean(), family


def test_blurs_are_scipy_s_and_a_box():
    for image in (*grey_pictures()[:5], *colour_pictures()[:2]):
        layers = [ndimage.gaussian_filter(image[..., layer] / 255, 0.8) for layer in range(image.shape[2])]
        nearest = [
            ndimage.gaussian_filter(image[..., layer] / 255, 0.8, mode="nearest") for layer in range(image.shape[2])
        ]
        assert np.array_equal(corrupted(image, "gaussian-blur", 4, 0), np.rint(np.stack(nearest, -1) * 255))
        assert np.allclose(np.stack(layers, -1)[4:-4, 4:-4], np.stack(nearest, -1)[4:-4, 4:-4])
        box = ndimage.uniform_filter(image / 255, (3, 3, 1), mode="mirror")
        assert np.abs(corrupted(image, "defocus-blur", 5, 0) - box * 255).max() <= 0.51


def test_brightness_and_saturation_are_python_s_hue_saturation_value():
    for image in (colour_pictures()[3][::4, ::4].repeat(4, 0).repeat(4, 1), plain(0)):
        for severity in (1, 5):
            brighter, richer = (corrupted(image, name, severity, 0) for name in ("brightness", "saturate"))
            more, factor = PARAMETERS["brightness"][severity - 1], PARAMETERS["saturate"][severity - 1]
            for row, column in np.ndindex(8, 8):
                place = row * 4, column * 4
                hue, saturation, value = colorsys.rgb_to_hsv(*(image[place] / 255))
                expected = colorsys.hsv_to_rgb(hue, saturation, min(value + more, 1))
                assert np.abs(brighter[place] - np.array(expected) * 255).max() <= 0.51
                expected = colorsys.hsv_to_rgb(hue, min(saturation * factor, 1), value)
                assert np.abs(richer[place] - np.array(expected) * 255).max() <= 0.51


def test_contrast_jpeg_and_pixels_are_what_they_are_called():
    image = colour_pictures()[5]
    flat = corrupted(image, "contrast", 5, 0).astype(float)
    assert flat.mean((0, 1)) == pytest.approx(image.mean((0, 1)), abs=0.5)
    assert flat.std((0, 1)) == pytest.approx(0.15 * image.std((0, 1)), rel=0.05)
    sink = io.BytesIO()
    Image.fromarray(image).save(sink, "JPEG", quality=58)
    assert np.array_equal(corrupted(image, "jpeg", 3, 0), np.asarray(Image.open(sink)))
    digit = grey_pictures()[0]
    squares = corrupted(digit, "pixelate", 3, 0)[..., 0]  # 4 of 8 pixels: squares of 2 x 2
    means = digit[..., 0].reshape(4, 2, 4, 2).mean((1, 3))
    assert np.abs(squares - np.kron(means, np.ones((2, 2)))).max() <= 1  # rounded twice


def test_elastic_moves_places_and_keeps_every_shade_within_those_there_were():
    image = colour_pictures()[1]
    ramp = np.broadcast_to((np.arange(32) * 8).astype(np.uint8)[None, :, None], (32, 32, 1))  # a shade says its column
    for severity in (1, 5):
        found = corrupted(image, "elastic", severity, 0)
        assert np.all(found.max((0, 1)) <= image.max((0, 1)))
        assert np.all(found.min((0, 1)) >= image.min((0, 1)))
        moved = (corrupted(ramp, "elastic", severity, 0)[6:-6, 6:-6].astype(float) - ramp[6:-6, 6:-6]) / 8
        share = PARAMETERS["elastic"][severity - 1] * 32
        assert 0.3 * share < np.sqrt((moved**2).mean()) < 1.1 * share
