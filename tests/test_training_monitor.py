"""Geometry beside the loss, in trainings that really run."""

from __future__ import annotations

import json
import logging
import os

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainingArguments

from service.errors import BadInput, BadShape
from service.measures import Cloud, find
from service.measures.twonn import fitted
from service.networks.text_sources import python_reference
from service.networks.training import small_decoder, train_tokenizer
from service.networks.training_probe import text_probe
from service.storage.database import Store, open_store, publish, reading, writing
from service.storage.rebuilding import rebuild
from service.training_monitor import GeometryCallback, GeometryMonitor

TEXTS = python_reference().texts[:40]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 300, "causal")


@pytest.fixture
def token_ids(tokenizer):
    return text_probe(tokenizer, TEXTS, windows=4, length=64)


def steps_of(network, token_ids, count, after=lambda step, loss, norm: None):
    """A plain training loop with dropout, which draws random numbers at every step."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    dropout = torch.nn.Dropout(0.1)
    network.gpt_neox.emb_dropout = dropout
    network.train()
    for step in range(1, count + 1):
        logits = network(input_ids=token_ids).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        after(step, loss, norm)


def asked(store, query):
    with reading(store) as connection:
        return connection.execute(query).fetchall()


def test_a_loop_of_ones_own_finds_its_losses_and_its_geometry_in_the_views(tmp_path, tokenizer, token_ids):
    network = small_decoder(32, 2, len(tokenizer))
    seen, states = [], {}
    with GeometryMonitor(network, token_ids, "mine", store=tmp_path / "store", every=5, layers=[1, 2]) as monitor:

        def after(step, loss, norm):
            monitor.step(step, loss, norm, learning_rate=1e-3)
            seen.append((step, loss.item(), norm.item()))
            if step == 10:
                states.update(monitor.probe.states())

        steps_of(network, token_ids, 12, after)
    store = Store(tmp_path / "store", 1)
    rows = asked(store, "select step, loss, gradient_norm from lab.training_losses where model = 'mine' order by step")
    np.testing.assert_allclose(rows, seen, rtol=1e-6)
    found = asked(store, "select step, layer, twonn, anisotropy, norm_mean from lab.training_geometry order by all")
    assert [row[:2] for row in found] == [(5, 1), (5, 2), (10, 1), (10, 2)]
    cloud = Cloud(states[2])
    expected = [fitted(cloud), find("anisotropy").corrected(cloud)[""], find("norm_mean").corrected(cloud)[""]]
    assert found[-1][2:] == pytest.approx([estimate.value for estimate in expected])
    assert asked(store, "select model, experiment from lab.runs") == [("mine", "monitor_training")]


def test_a_monitored_training_ends_in_the_very_weights_of_one_that_is_not(tmp_path, tokenizer, token_ids):
    plain, watched = small_decoder(32, 2, len(tokenizer)), small_decoder(32, 2, len(tokenizer))
    steps_of(plain, token_ids, 6)
    with GeometryMonitor(watched, token_ids, "watched", store=tmp_path / "store", every=1) as monitor:
        steps_of(watched, token_ids, 6, monitor.step)
        assert watched.training
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), watched.parameters(), strict=True))


def test_a_held_database_never_stops_a_training_and_its_rows_are_found_later(tmp_path, tokenizer, token_ids):
    store = open_store(tmp_path / "store", 1)
    network = small_decoder(32, 2, len(tokenizer))
    with writing(store), GeometryMonitor(network, token_ids, "held", store=store.root, every=2) as monitor:
        steps_of(network, token_ids, 4, monitor.step)
    publish(open_store(store.root, 1))
    assert asked(store, "select count(*) from lab.training_losses") == [(4,)]
    rebuild(store.root, 1)
    assert asked(store, "select count(*) from lab.training_losses") == [(4,)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_no_obstacle_to_training(tmp_path, tokenizer, token_ids, caplog):
    (tmp_path / "locked").mkdir(mode=0o500)
    unwritable(tmp_path / "locked" / "store", tokenizer, token_ids, caplog)


def test_a_store_that_cannot_be_written_costs_one_warning_and_no_step(tmp_path, tokenizer, token_ids, caplog):
    (tmp_path / "store").write_text("a file where the store should be")
    unwritable(tmp_path / "store", tokenizer, token_ids, caplog)


def unwritable(root, tokenizer, token_ids, caplog):
    network, made = small_decoder(32, 2, len(tokenizer)), []
    with caplog.at_level(logging.WARNING), GeometryMonitor(network, token_ids, "lost", store=root, every=1) as monitor:

        def after(step, loss, norm):
            monitor.step(step, loss, norm)
            monitor.flush()
            made.append(step)

        steps_of(network, token_ids, 3, after)
    assert made == [1, 2, 3]
    assert [record.message[:27] for record in caplog.records] == ["the store cannot be written"]


def test_a_network_that_fell_apart_is_recorded_as_undefined_and_training_goes_on(tmp_path, tokenizer, token_ids):
    network = small_decoder(32, 2, len(tokenizer))
    with GeometryMonitor(network, token_ids, "nan", store=tmp_path / "store", every=1, layers=[2]) as monitor:
        with torch.no_grad():
            network.gpt_neox.layers[0].mlp.dense_h_to_4h.weight[:] = torch.nan
        monitor.step(1, float("nan"), float("inf"))
    store = Store(tmp_path / "store", 1)
    assert asked(store, "select twonn, note from lab.training_geometry") == [
        (None, "256 of 256 states are NaN or infinite")
    ]
    assert asked(store, "select loss, gradient_norm from lab.training_losses") == [(None, None)]


def test_a_clock_that_is_set_back_loses_no_row(tmp_path, tokenizer, token_ids, monkeypatch):
    from datetime import UTC, datetime

    network = small_decoder(32, 2, len(tokenizer))
    with GeometryMonitor(network, token_ids, "clock", store=tmp_path / "store", every=2) as monitor:
        monitor._begun = datetime(2099, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        steps_of(network, token_ids, 2, monitor.step)
    ends = asked(Store(tmp_path / "store", 1), "select started_at, finished_at from lab.runs")
    assert ends == [(datetime(2099, 1, 1), datetime(2099, 1, 1))]


def test_what_a_monitor_cannot_work_with_is_refused_before_any_step(tmp_path, tokenizer, token_ids):
    network = small_decoder(32, 2, len(tokenizer))
    with pytest.raises(BadInput, match="layer 9 is not there: this network has layers 0 to 3"):
        GeometryMonitor(network, token_ids, "a", layers=[9])
    with pytest.raises(BadShape, match=r"\(windows, length\); got shape \(64,\)"):
        GeometryMonitor(network, token_ids[0], "a")
    with pytest.raises(BadInput, match="every needs to be 1 step or more; got 0"):
        GeometryMonitor(network, token_ids, "a", every=0)
    with pytest.raises(BadInput, match="a transformers network is needed"):
        GeometryMonitor(torch.nn.Linear(2, 2), token_ids, "a")
    with pytest.raises(BadInput, match="needs 8 texts of 128 tokens or more; got 0"):
        text_probe(tokenizer, ["short"])


def test_trainer_with_the_callback_leaves_its_losses_and_its_geometry(tmp_path, tokenizer, token_ids):
    rows = [{"input_ids": row, "labels": row} for row in token_ids.repeat(6, 1)]
    arguments = TrainingArguments(
        tmp_path / "run",
        max_steps=6,
        per_device_train_batch_size=4,
        logging_steps=2,
        save_steps=3,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    callback = GeometryCallback("trained", store=tmp_path / "store", every=3, texts=TEXTS)
    tokenizer.pad_token = tokenizer.eos_token
    trainer = Trainer(
        small_decoder(32, 2, len(tokenizer)),
        arguments,
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.train()
    store = Store(tmp_path / "store", 1)
    logged = json.loads((tmp_path / "run/checkpoint-6/trainer_state.json").read_text())["log_history"]
    expected = [(entry["step"], entry["loss"], entry["grad_norm"]) for entry in logged if "loss" in entry]
    assert len(expected) == 3
    rows = asked(store, "select step, loss, gradient_norm from lab.training_losses order by step")
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    found = asked(store, "select step, layer from lab.training_geometry where twonn > 0 order by all")
    assert found == [(3, 1), (3, 2), (6, 1), (6, 2)]
