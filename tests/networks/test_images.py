"""Datasets of images: what they are made of, how they are told apart, and every reason to refuse one."""

from __future__ import annotations

import base64
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from service.errors import BadInput, UnknownName
from service.networks.datasets import Choice, open_dataset
from service.networks.image_training import small_vision_network
from service.networks.processors import UnitProcessor


def png(pixels, format="PNG") -> bytes:
    """The encoded image."""
    sink = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(sink, format=format)
    return sink.getvalue()


def picture(seed, height=4, width=6):
    """Some pixels in colour."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of images, in sub-folders."""
    for number in range(6):
        place = tmp_path / "pets" / ("cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(png(picture(number)))
    return tmp_path / "pets"


@pytest.fixture
def parquet(tmp_path):
    """Images in a Parquet file as bytes, and as the struct that Hugging Face writes, beside other columns."""
    bodies = [png(picture(number)) for number in range(5)]
    table = {"image": bodies, "framed": [{"bytes": body, "path": None} for body in bodies], "label": [0, 1, 0, 1, 1]}
    pq.write_table(pa.table(table), tmp_path / "pictures.parquet")
    return tmp_path / "pictures.parquet"


def refusal(name, **options) -> str:
    """Why the dataset is not opened, or not read: one line."""
    with pytest.raises(BadInput) as error:
        open_dataset(str(name), **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_digits_are_those_of_scikit_learn():
    digits, found = open_dataset("digits"), load_digits()
    assert (digits.dataset.name, digits.dataset.modality, digits.dataset.items) == ("digits", "image", 1797)
    assert sorted(digits.item_ids) == list(range(1797))
    assert digits.item_ids[:5] != (0, 1, 2, 3, 4)
    for item in digits.item_ids[:20]:
        assert digits.column("label")[item] == found.target[item]
        np.testing.assert_allclose(digits.image(item)[..., 0], found.images[item] * 255 / 16, atol=0.5)


def test_a_split_of_the_digits_is_stratified_and_keeps_the_items_ids():
    whole, parts = open_dataset("digits"), [open_dataset(f"digits:{split}") for split in ("train", "test")]
    train, test = (set(part.item_ids) for part in parts)
    assert (len(train), len(test), train & test, train | test) == (1437, 360, set(), set(whole.item_ids))
    labels = parts[1].column("label")
    assert all(35 <= list(labels.values()).count(digit) <= 37 for digit in range(10))
    assert labels == {item: whole.column("label")[item] for item in labels}
    assert len({part.dataset.digest for part in (whole, *parts)}) == 3
    assert parts[1].dataset.split == "test"


def test_a_folder_says_its_classes_and_pixels(folder):
    items = open_dataset(str(folder))
    assert items.dataset.name == "pets"
    assert items.column("path") == {
        0: "cat/1.png", 1: "cat/3.png", 2: "cat/5.png", 3: "dog/0.png", 4: "dog/2.png", 5: "dog/4.png"
    }  # fmt: skip
    assert list(items.column("label").values()) == 3 * ["cat"] + 3 * ["dog"]
    np.testing.assert_array_equal(items.image(3), picture(0))
    with pytest.raises(UnknownName, match="unknown column of pets 'lable': did you mean 'label'"):
        items.column("lable")
    with pytest.raises(UnknownName, match="unknown item 6: pets has 6 images"):
        items.image(6)


def test_the_digest_is_of_pixels_and_order_not_of_their_encoding(folder):
    first = open_dataset(str(folder)).dataset.digest
    (folder / "cat" / "1.png").unlink()
    (folder / "cat" / "1.bmp").write_bytes(png(picture(1), "BMP"))
    assert open_dataset(str(folder)).dataset.digest == first
    (folder / "cat" / "1.bmp").write_bytes(png(picture(1).reshape(6, 4, 3), "BMP"))
    assert open_dataset(str(folder)).dataset.digest != first
    (folder / "cat" / "1.bmp").write_bytes(png(picture(1), "BMP"))
    (folder / "cat" / "1.bmp").rename(folder / "cat" / "4.bmp")
    assert open_dataset(str(folder)).dataset.digest != first


def test_a_plain_folder_has_no_labels_and_one_of_texts_stays_one_of_texts(tmp_path):
    (tmp_path / "a.png").write_bytes(png(picture(0)))
    assert open_dataset(str(tmp_path)).gallery.images.columns == ("path",)
    (tmp_path / "a.md").write_text("about the picture " * 50)
    assert open_dataset(str(tmp_path)).dataset.modality == "text"


def test_parquet_gives_bytes_and_structs_and_its_other_columns(parquet):
    items, framed = open_dataset(str(parquet)), open_dataset(f"{parquet}:framed")
    assert (items.dataset.name, framed.dataset.name) == ("pictures.parquet", "pictures.parquet:framed")
    assert items.dataset.digest == framed.dataset.digest
    np.testing.assert_array_equal(framed.image(2), picture(2))
    assert items.column("label") == {0: 0, 1: 1, 2: 0, 3: 1, 4: 1}
    assert set(framed.gallery.images.columns) == {"image", "label"}


def test_parquet_without_images_is_one_of_texts_or_refused(tmp_path):
    pq.write_table(pa.table({"number": [1, 2]}), tmp_path / "numbers.parquet")
    assert "has no column 'text', it has number" in refusal(tmp_path / "numbers.parquet")
    pq.write_table(pa.table({"text": ["words"], "image": [b"x"]}), tmp_path / "both.parquet")
    assert open_dataset(str(tmp_path / "both.parquet")).dataset.modality == "text"
    assert "row 0 of" in refusal(f"{tmp_path / 'both.parquet'}:image")


def test_a_hub_dataset_with_a_column_of_images_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = {"img": [{"bytes": png(picture(n)), "path": None} for n in range(3)], "label": [0, 1, 2]}
    features = datasets.Features({"img": datasets.Image(), "label": datasets.Value("int64")})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data" / "test.parquet")
    items = open_dataset(f"hf:{tmp_path / 'data'}::test")
    assert (items.dataset.modality, items.dataset.split, len(items.item_ids)) == ("image", "test", 3)
    np.testing.assert_array_equal(items.image(1), picture(1))
    assert items.column("label") == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize("body", [b"", b"no image", png(picture(0))[:60]])
def test_a_corrupt_image_is_named_in_one_line(folder, body):
    (folder / "cat" / "9.png").write_bytes(body)
    assert refusal(folder).startswith(f"{folder / 'cat' / '9.png'} is no image that can be read: ")


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("I;16", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3)]
)
def test_images_of_every_mode_have_one_channel_or_three(tmp_path, mode, channels):
    image = Image.new(mode, (5, 3))
    image.save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    assert open_dataset(str(tmp_path)).image(0).shape == (3, 5, channels)


def test_a_preview_is_a_small_png_that_can_be_read_back(tmp_path):
    (tmp_path / "large.png").write_bytes(png(picture(0, 300, 200)))
    for name, size in ((str(tmp_path), (64, 96)), ("digits", (8, 8))):
        items = open_dataset(name)
        uri = items.preview(items.item_ids[0])
        assert uri.startswith("data:image/png;base64,")
        assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == size


def test_choices_stand_in_the_name_and_say_how_many_are_read():
    assert open_dataset("digits:pooled").dataset.name == "digits[pooled]"
    few = open_dataset("digits:test:pooled", choice=Choice(texts=7))
    assert (few.dataset.name, few.dataset.items) == ("digits:test[texts=7,pooled]", 7)
    assert few.read(1) == few.item_ids[:7]
    enough = open_dataset("digits", tokens=100)
    assert len(enough.read(17)) == 6
    with pytest.raises(BadInput, match=r"40000 states were asked for, and .* has 30549 states of 1797 images"):
        open_dataset("digits", tokens=40_000).read(17)
    assert open_dataset("digits").read(17) == open_dataset("digits").item_ids


def test_what_is_of_texts_is_refused_of_images():
    for options in ({"window": 100}, {"choice": Choice(length=5)}, {"choice": Choice(last=True)}):
        assert refusal("digits", **options).startswith("digits is a dataset of images: a window, a length, ")
    assert refusal("digits:tset") == "unknown split of digits 'tset': did you mean 'test'? known: test, train"


def test_inputs_are_what_the_networks_processor_makes_of_the_images():
    digits, (_, processor) = open_dataset("digits"), small_vision_network(8, 1, 10)
    chosen = digits.item_ids[:5]
    expected = torch.stack([torch.from_numpy(digits.image(item)[..., 0] / 127.5 - 1).float() for item in chosen])
    torch.testing.assert_close(digits.inputs(processor, chosen)[:, 0], expected)
    batches = list(digits.batches(processor, 2, chosen))
    assert [group for group, _ in batches] == [chosen[:2], chosen[2:4], chosen[4:]]
    torch.testing.assert_close(torch.cat([inputs for _, inputs in batches])[:, 0], expected)
    assert digits.inputs(UnitProcessor(channels=3), chosen).shape == (5, 3, 8, 8)
    torch.testing.assert_close(digits.inputs(UnitProcessor(channels=1), chosen)[:, 0], expected / 2 + 0.5)


def test_images_of_several_sizes_are_resized_or_refused(folder):
    (folder / "cat" / "7.png").write_bytes(png(picture(7, 9, 9)))
    items, (_, processor) = open_dataset(str(folder)), small_vision_network(8, 1, 2, channels=3)
    assert items.inputs(processor, items.item_ids).shape == (7, 3, 8, 8)
    with pytest.raises(BadInput, match=r"several sizes .*4x6x3 and 9x9x3.*: have the function return \(module, prep"):
        items.inputs(UnitProcessor(), items.item_ids)
