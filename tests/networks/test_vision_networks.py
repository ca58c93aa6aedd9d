"""Networks that read images: what is read at each site, against transformers' own states and against direct computation."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from PIL import Image
from tiny_networks import saved

from service.errors import BadInput, NetworkMismatch, UnknownName
from service.networks.checkpoints import find_checkpoints, load
from service.networks.datasets import Choice, open_dataset
from service.networks.hidden_states import extract
from service.networks.places import Grid, at_places, common_grid, grid_of
from service.subjects import POSITIONS

FEW = Choice(texts=40)


def loaded(name):
    """The network of one name."""
    return load(find_checkpoints(str(name))[-1], device="cpu")


def digits(suffix=""):
    """Forty of them."""
    return open_dataset(f"digits{suffix}", choice=FEW)


@pytest.fixture(scope="module")
def vision(vision_folder):
    """The trained vision transformer."""
    return loaded(vision_folder)


@pytest.fixture(scope="module")
def told(vision):
    """Transformers' own states of forty digits by depth, the normed one last, one image at a time."""
    items, states = digits(), []
    for item in items.read(17):
        with torch.no_grad():
            output = vision.module.vit(items.inputs(vision, [item]), output_hidden_states=True)
        states.append([*output.hidden_states[:4], output.last_hidden_state])
    return [torch.cat(layer) for layer in zip(*states, strict=True)]


def test_what_a_vision_transformer_is_is_recorded(vision):
    facts = vision.facts
    assert (facts.family, facts.kind, facts.layers, facts.width, facts.sites) == ("vit", "vision", 3, 32, 5)
    assert facts.parameters == sum(weights.numel() for weights in vision.module.parameters())
    assert vision.layer_names == ("input of vit.layers.0", "vit.layers.0", "vit.layers.1", "vit.layers.2", "vit")
    assert [site[:2] for site in vision.sites][::4] == [(0, "embedding"), (4, "final")]
    assert (vision.checkpoint.step, vision.predicts, vision.module.training) == (200, True, False)


def test_states_of_patches_are_transformers_own(vision, told):
    summaries = extract(vision, digits(), sample=300, batch_size=7)
    row_of = {item: row for row, item in enumerate(digits().read(17))}
    for summary, states in zip(summaries, told, strict=True):
        sample = summary.sample
        rows = [row_of[item] for item in sample.item_id.tolist()]
        torch.testing.assert_close(summary.states, states[rows, sample.position], rtol=1e-4, atol=1e-5)
        assert torch.equal(sample.special, sample.position == 0)
        assert summary.loss is None
    assert [summary.layer_name for summary in summaries] == list(vision.layer_names)


def test_moments_are_of_all_patches_by_position(vision, told):
    summaries = extract(vision, digits(), sample=64, batch_size=7)
    for summary, states in zip(summaries, told, strict=True):
        for positions in POSITIONS:
            kept = (states if positions == "all" else states[:, 1:]).flatten(0, 1).double()
            away = kept - kept.mean(0)
            found = summary.moments[positions]
            assert found.tokens == len(kept)
            spectrum = torch.linalg.eigvalsh(away.T @ away / len(kept)).flip(0)
            torch.testing.assert_close(found.mean, kept.mean(0), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found.spectrum, spectrum, rtol=1e-3, atol=1e-6)


def test_pooled_states_are_means_over_the_patches_without_the_class_token(vision, told):
    for summary, states in zip(extract(vision, digits(":pooled"), batch_size=16), told, strict=True):
        order = torch.tensor(digits().read(17)).argsort()
        torch.testing.assert_close(summary.states, states[order, 1:].mean(1), rtol=1e-4, atol=1e-5)
        assert summary.sample.keep("not-first").all()


def test_the_sample_is_the_same_whatever_the_network_and_nested(vision):
    other = loaded("python:convnets:convnet:first")
    both = [extract(network, digits(), sample=100)[0].sample for network in (vision, other)]
    places = [set(zip(one.item_id.tolist(), one.char_end.tolist(), strict=True)) for one in both]
    assert grid_of((1, 6, 4, 4)).centres.tolist() == grid_of((1, 17, 32)).centres[1:].tolist()
    assert len({place for place in places[0] if place[1]} & places[1]) > 80
    small = extract(vision, digits(), sample=50)[0].sample
    assert set(zip(small.item_id.tolist(), small.char_end.tolist(), strict=True)) < places[0]


def test_fewer_states_than_the_sample_are_kept_unless_somebody_asked(vision):
    assert len(extract(vision, digits(":pooled"))[0].states) == 40
    asked = open_dataset("digits", tokens=100, sample=500)
    with pytest.raises(
        BadInput, match=r"the sample asks for 500 states, and .* has 102 here: give --sample 102 or less"
    ):
        extract(vision, asked, sample=500)


def test_layers_of_a_module_are_those_named_in_the_order_they_are_called():
    network = loaded("python:convnets:convnet:second,first")
    assert network.layer_names == ("input of first", "first", "second")
    assert (network.checkpoint.model, network.checkpoint.step) == ("convnets:convnet", None)
    facts = network.facts
    assert (facts.kind, facts.family, facts.layers, facts.width, facts.sites) == ("vision", "ConvNet", 2, 12, 3)
    items = digits()
    for summary, layer in zip(extract(network, items, sample=64)[1:], ("first", "second"), strict=True):
        kept = []
        hook = network.module.get_submodule(layer).register_forward_hook(
            lambda _, __, output, kept=kept: kept.append(output)
        )
        with torch.no_grad():
            network.module(items.inputs(network, items.item_ids[:40]))
        hook.remove()
        rows = [items.item_ids.index(item) for item in summary.sample.item_id.tolist()]
        flat = kept[0].flatten(2).transpose(1, 2)
        torch.testing.assert_close(summary.states, flat[rows, summary.sample.position - 1], rtol=1e-4, atol=1e-5)


def test_without_names_the_children_that_have_places_are_the_layers():
    assert loaded("python:convnets:convnet").layer_names[1:] == ("first", "second")
    assert loaded("python:convnets:perceptron").layer_names[1:] == ("0", "1", "2", "3")
    assert loaded("python:convnets:perceptron").checkpoint != loaded("python:convnets:perceptron:1").checkpoint


def test_a_layer_inside_another_is_a_layer_too():
    network = loaded("python:convnets:convnet:second,second.0")
    assert network.layer_names == ("input of second.0", "second.0", "second")
    found = extract(network, digits(), sample=64)
    torch.testing.assert_close(found[1].states.relu(), found[2].states)


def test_stages_of_other_sizes_are_brought_to_the_coarsest_places():
    network = loaded("python:convnets:stages")
    found = extract(network, digits(), sample=64)
    assert [summary.states.shape for summary in found] == [(64, 1), (64, 4), (64, 8)]
    kept = {}
    with torch.no_grad(), network.blocks.capturing(kept.__setitem__):
        network.module(digits().inputs(network, found[0].sample.item_id[:1].tolist()))
    place = int(found[0].sample.position[0]) - 1
    row, column = divmod(place, 4)
    mean = kept[1][0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((1, 2))
    torch.testing.assert_close(found[1].states[0], mean, rtol=1e-4, atol=1e-5)


def test_preprocess_makes_images_ready(tmp_path):
    network = loaded("python:convnets:prepared:first")
    items = digits()
    expected = torch.from_numpy(items.image(items.item_ids[0])[..., 0].copy()) / 255 - 0.5
    torch.testing.assert_close(items.inputs(network, items.item_ids[:1])[0, 0], expected)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("python:convnets", BadInput, "a network in Python is python:package.module:function or "),
        ("python:nowhere.at_all:convnet", UnknownName, "unknown module 'nowhere.at_all': it is neither in "),
        ("python:convnets:convnt", UnknownName, "unknown function of convnets 'convnt': did you mean 'convnet'? known: "),
        ("python:convnets:COUNT", UnknownName, "unknown function of convnets 'COUNT': "),
        ("python:convnets:words", NetworkMismatch, "convnets:words() gives str: a torch.nn.Module is needed, or (mod"),
        ("python:convnets:bare", NetworkMismatch, "convnets:bare() gives a module without parameters: "),
        ("python:convnets:failing", NetworkMismatch, "convnets:failing() fails: ValueError: no weights here"),
        ("python:convnets:unseeded", NetworkMismatch, "convnets:unseeded gives other weights each time it is called: "),
        ("python:convnets:blind", NetworkMismatch, "convnets:blind reads no image of 1 or 3 channels and 8 to 384 pix"),
        ("python:convnets:convnet:frist", UnknownName, "unknown layer of ConvNet 'frist': did you mean 'first'? known: "),
        ("python:convnets:convnet:unused", NetworkMismatch, "layer unused is not called when an image is read: name la"),
        ("python:convnets:convnet:twice", NetworkMismatch, "layer twice is called 2 times when an image is read: name"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_read_is_refused_in_one_line(name, error, said):
    with pytest.raises(error) as found:
        loaded(name)
    assert str(found.value).startswith(said)
    assert "\n" not in str(found.value)


def test_layers_with_and_without_places_are_not_mixed(vision):
    with pytest.raises(BadInput, match=r"^layer head has one state an image, and other layers several: add :pooled to"):
        extract(loaded("python:convnets:convnet:first,head"), digits(), sample=64)
    assert len(extract(loaded("python:convnets:convnet:first,head"), digits(":pooled"))) == 3


def test_images_and_texts_are_not_mistaken_for_each_other(vision, decoder):
    said = "reads images, and python-reference is a dataset of texts: give one of images, such as --dataset digits"
    with pytest.raises(BadInput, match=said):
        extract(vision, open_dataset("python-reference"))
    said = "reads texts, and digits is a dataset of images: give one of texts, such as --dataset python-reference"
    with pytest.raises(BadInput, match=said):
        extract(decoder, open_dataset("digits"))


def test_images_that_a_network_cannot_read_are_refused_in_one_line(tmp_path):
    network = loaded("python:convnets:perceptron")
    Image.new("L", (9, 9)).save(tmp_path / "odd.png")
    with pytest.raises(BadInput, match=r"cannot read the images of .* in the shape \(1, 9, 9\) \(channels, height, "):
        extract(network, open_dataset(str(tmp_path)))


def test_a_vision_folder_without_a_processor_is_refused(vision_folder, tmp_path):
    folder = shutil.copytree(vision_folder / "step200", tmp_path / "step200")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(NetworkMismatch, match=r"has no image processor, which is the preprocessor_config.json that"):
        loaded(folder)


def test_a_vision_folder_that_lacks_weights_is_refused(vision_folder, tmp_path):
    folder = shutil.copytree(vision_folder / "step200", tmp_path / "step200")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
    with pytest.raises(NetworkMismatch, match=r"lacks \d+ of its network's weights, the first is vit.layers.3"):
        loaded(folder)


STAGES = {"hidden_sizes": [8, 16, 32], "depths": [1, 1, 1]}
TRANSFORMER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
VISION = {
    "resnet": {"embedding_size": 8, "layer_type": "basic", **STAGES},
    "convnext": {"image_size": 64, "num_stages": 3, **STAGES},
    "deit": {"image_size": 64, "architectures": ["DeiTForImageClassification"], **TRANSFORMER},
    "dinov2_with_registers": {"image_size": 56, **TRANSFORMER},
    "swin": {
        "image_size": 64,
        "patch_size": 4,
        "embed_dim": 8,
        "window_size": 2,
        "depths": [1, 1],
        "num_heads": [1, 2],
    },
    "segformer": {"num_encoder_blocks": 3, "num_attention_heads": [1, 2, 4], "decoder_hidden_size": 16, **STAGES},
}


@pytest.mark.parametrize("family", VISION)
def test_the_layers_of_every_kind_of_classifier_are_found(family, tmp_path):
    config = transformers.AutoConfig.for_model(family, num_labels=3, **VISION[family])
    torch.manual_seed(0)
    module = transformers.AutoModelForImageClassification.from_config(config)
    module.save_pretrained(tmp_path / family)
    size = {"height": 64, "width": 64} if family != "dinov2_with_registers" else {"height": 56, "width": 56}
    transformers.ViTImageProcessorPil(size=size).save_pretrained(tmp_path / family)
    network = loaded(tmp_path / family)
    items = open_dataset("digits:pooled", choice=Choice(texts=9))
    pixels = items.inputs(network, items.item_ids[:9])
    with torch.no_grad():
        hidden = network.module(pixels, output_hidden_states=True).hidden_states
    order = torch.tensor(items.item_ids[:9]).argsort()
    entries = {summary.hidden_state_index: summary for summary in extract(network, items)}
    compared = [entry for entry in entries if entry is not None]
    assert len(compared) >= len(hidden) - 1
    for entry in compared:
        own = grid_of(hidden[entry].shape, None)
        mean = at_places(hidden[entry], own, Grid(0, 1, 1))[order, 0]
        torch.testing.assert_close(entries[entry].states, mean, rtol=1e-3, atol=1e-4)


def test_places_are_told_apart_by_where_their_centres_lie():
    assert grid_of((1, 197, 8)) == Grid(1, 14, 14)
    assert grid_of((1, 37, 8), (4, 8)) == Grid(5, 4, 8)
    assert grid_of((1, 7, 8), (4, 8)) == Grid(3, 2, 2)
    assert grid_of((1, 3, 8)) == Grid(2, 1, 1)
    four, twelve = set(grid_of((1, 1, 4, 4)).centres.tolist()), set(grid_of((1, 1, 12, 12)).centres.tolist())
    eight = set(grid_of((1, 1, 8, 8)).centres.tolist())
    assert four < twelve
    assert not four & eight
    assert not set(grid_of((1, 1, 4, 1)).centres.tolist()) & set(grid_of((1, 1, 8, 1)).centres.tolist())
    assert common_grid([Grid(1, 4, 4), Grid(1, 4, 4)], ("a", "b"), False) == Grid(1, 4, 4)
    assert common_grid([Grid(1, 4, 4), Grid(0, 2, 2)], ("a", "b"), False) == Grid(0, 2, 2)


def test_an_image_classifier_is_told_from_a_language_model(tmp_path, vision_folder):
    from service.networks.vision import is_image_classifier

    assert is_image_classifier(str(vision_folder / "step0"))
    assert not is_image_classifier(str(saved("bert", tmp_path / "bert")))
    assert not is_image_classifier(str(tmp_path))
