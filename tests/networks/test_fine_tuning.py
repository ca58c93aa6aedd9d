"""Classifiers made of an encoder: really tuned, judged, and refused where they are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from service.errors import NetworkMismatch
from service.networks.fine_tuning import Classifier, Tuning, fine_tune, load_classifier
from service.networks.labelled_texts import LabelledTexts

TEXTS = LabelledTexts(
    "letters", tuple("aaaa bb" if n % 2 else "cccc dd" for n in range(40)), tuple(n % 2 for n in range(40))
)
TUNING = Tuning(seed=1, steps=12, batch=8, learning_rate=3e-3, warmup=2, threads=1)


@pytest.fixture(scope="module")
def tuned(encoder_folder, tmp_path_factory):
    base = sorted(encoder_folder.glob("step*"), key=lambda place: int(place.name[4:]))[-1]
    folder = tmp_path_factory.mktemp("tuned") / "classifier"
    return base, fine_tune(base, TEXTS, folder, TUNING)


def test_a_tuned_classifier_tells_what_it_was_tuned_on(tuned):
    base, place = tuned
    assert place.name == "step12"
    found = load_classifier(str(place), 2, device="cpu")
    told, nats = found.predictions(TEXTS)
    assert (told == np.array(TEXTS.labels)).all()
    assert (nats < np.log(2)).all()
    with torch.no_grad():
        inputs = found.tokenizer(list(TEXTS.texts[:3]), padding=True, return_tensors="pt")
        logits = AutoModelForSequenceClassification.from_pretrained(place)(**inputs).logits
    np.testing.assert_allclose(nats[:3], -logits.log_softmax(-1)[range(3), TEXTS.labels[:3]].numpy(), rtol=1e-5)
    assert not sorted(base.parent.glob(".*"))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tuned, tmp_path):
    base, place = tuned
    again = fine_tune(base, TEXTS, tmp_path / "again", TUNING)
    other = fine_tune(base, TEXTS, tmp_path / "other", Tuning(seed=2, steps=12, batch=8, learning_rate=3e-3, warmup=2))
    weights = [(folder / "model.safetensors").read_bytes() for folder in (place, again, other)]
    assert weights[0] == weights[1] != weights[2]


def test_classes_of_a_network_may_stand_for_one_class_of_the_texts(tuned):
    found = load_classifier(str(tuned[1]), 2, device="cpu")

    class Three:
        """Logits of three classes whose last two are the second class of the texts."""

        config = found.module.config

        def __call__(self, **inputs):
            logits = found.module(**inputs).logits
            split = torch.stack([logits[:, 0], logits[:, 1] - np.log(2), logits[:, 1] - np.log(2)], dim=1)
            return type("Output", (), {"logits": split})

        def parameters(self):
            return found.module.parameters()

    told, nats = Classifier(Three(), found.tokenizer, (0, 1, 1)).predictions(TEXTS)
    expected, of_two = found.predictions(TEXTS)
    assert (told == expected).all()
    np.testing.assert_allclose(nats, of_two, rtol=1e-4)


def test_what_is_no_classifier_or_tells_other_classes_is_refused(tuned, encoder_folder, tmp_path):
    base, place = tuned
    with pytest.raises(NetworkMismatch, match=r"was not fine-tuned: it lacks classifier"):
        load_classifier(str(base), 2, device="cpu")
    with pytest.raises(
        NetworkMismatch, match=r"tells 2 classes apart and the texts have 3: give --stands-for with 2 numbers"
    ):
        load_classifier(str(place), 3, device="cpu")
    with pytest.raises(NetworkMismatch, match=r"could not be loaded as a classifier"):
        load_classifier(str(tmp_path), 2, device="cpu")
