"""Windows of text: fixed, digested, named for every choice; and their tokens."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_networks import tokenizer_for

from service.errors import BadInput
from service.networks.datasets import DEFAULT_WINDOWS, Choice, open_dataset, without_punctuation


@pytest.fixture(scope="module")
def plain():
    """A tokenizer that adds nothing."""
    return tokenizer_for("causal")


@pytest.fixture(scope="module")
def framing():
    """A tokenizer that puts [CLS] and [SEP] around a text."""
    return tokenizer_for("masked")


@pytest.fixture
def text(tmp_path):
    """A file of 100 windows of 20 characters, and some empty ones."""
    path = tmp_path / "numbered.txt"
    path.write_text("".join(f"window number {number:5}\n" for number in range(100)) + " " * 60)
    return path


def test_windows_are_cut_to_the_same_length_and_empty_ones_are_left_out(text):
    items = open_dataset(str(text), window=20)
    assert items.dataset.items == 100
    assert {len(piece) for _, piece in items.texts} == {20}
    assert {piece.strip() for _, piece in items.texts} == {f"window number {number:5}" for number in range(100)}


def test_an_item_is_the_windows_place_in_the_text_and_their_order_is_drawn(text):
    items = open_dataset(str(text), window=20)
    assert all(int(piece.split()[-1]) == item for item, piece in items.texts)
    order = [item for item, _ in items.texts]
    assert order != sorted(order)
    assert order[:5] == [48, 68, 21, 10, 83]  # a stored summary names items by this order: it never changes


def test_the_default_is_the_first_128_windows(plain):
    items = open_dataset("python-reference")
    windows = items.windows(plain)
    assert [window.item_id for window in windows] == [item for item, _ in items.texts[:DEFAULT_WINDOWS]]
    assert (len(windows), items.dataset.items) == (128, 128)
    assert items.dataset.characters == sum(len(piece) for _, piece in items.texts[:128])


def test_as_many_windows_are_read_as_the_tokens_need(plain):
    windows = open_dataset("python-reference", tokens=5000).windows(plain)
    lengths = [len(window) for window in windows]
    assert sum(lengths[:-1]) < 5000 <= sum(lengths)
    longer = open_dataset("python-reference", tokens=9000).windows(plain)
    assert [window.item_id for window in longer[: len(windows)]] == [window.item_id for window in windows]


def test_more_tokens_than_there_are_are_refused_with_the_number_there_is(text, plain):
    with pytest.raises(
        BadInput, match=r"^1000000 tokens were asked for, and numbered\.txt\S+ has \d+ .*give --tokens \d+$"
    ):
        open_dataset(str(text), tokens=1_000_000).windows(plain)


def test_every_choice_that_is_not_the_default_is_in_the_name():
    assert open_dataset("python-reference").dataset.name == "python-reference"
    assert open_dataset("python-reference", window=512, sample=4096).dataset.name == "python-reference"
    named = open_dataset("python-reference", tokens=5000, window=256, sample=2000).dataset.name
    assert named == "python-reference[tokens=5000,window=256,sample=2000]"
    assert open_dataset("random-tokens", sample=100).dataset.name == "random-tokens[sample=100]"


def test_the_digest_is_that_of_the_text_and_of_how_it_is_cut(text):
    first = open_dataset(str(text)).dataset.digest
    assert first == open_dataset(str(text)).dataset.digest
    assert first != open_dataset(str(text), window=20).dataset.digest
    text.write_text(text.read_text().replace("number    7", "number    8"))
    assert first != open_dataset(str(text)).dataset.digest


def test_a_token_ends_where_its_text_ends(plain, framing):
    texts = dict(open_dataset("python-reference").texts)
    for tokenizer in (plain, framing):
        for window in open_dataset("python-reference").windows(tokenizer)[:5]:
            text, ends = texts[window.item_id], window.char_end
            assert np.all(np.diff(ends) >= 0)
            assert ends[-1] == len(text)
            third = int(np.flatnonzero(~window.special)[3])
            assert text[ends[third - 1] : ends[third]] == tokenizer.decode([window.token_ids[third]])


def test_a_tokenizers_own_tokens_are_kept_and_known(framing):
    window = open_dataset("python-reference").windows(framing)[0]
    assert window.token_ids[[0, -1]].tolist() == [framing.cls_token_id, framing.sep_token_id]
    assert window.special[[0, 1, -2, -1]].tolist() == [True, False, False, True]
    text = dict(open_dataset("python-reference").texts)[window.item_id]
    assert window.char_end[[0, -1]].tolist() == [0, len(text)]


def test_a_text_is_cut_to_the_networks_longest_input(framing):
    windows = open_dataset("python-reference").windows(framing, max_length=16)
    assert max(len(window) for window in windows) == 16
    assert windows[0].token_ids[-1] == framing.sep_token_id


def test_random_tokens_are_uniform_over_the_tokens_that_are_not_special(framing):
    windows = open_dataset("random-tokens", tokens=60_000).windows(framing)
    drawn = np.concatenate([window.token_ids[~window.special] for window in windows])
    counts = np.bincount(drawn, minlength=len(framing))
    assert counts[framing.all_special_ids].tolist() == [0] * len(framing.all_special_ids)
    kinds = len(framing) - len(framing.all_special_ids)
    expected = len(drawn) / kinds
    chi_squared = float(((np.delete(counts, framing.all_special_ids) - expected) ** 2 / expected).sum())
    assert abs(chi_squared - (kinds - 1)) < 5 * np.sqrt(2 * (kinds - 1))


def test_random_tokens_stand_between_the_tokens_that_stand_around_a_text(plain, framing):
    for tokenizer, frame in ((plain, 0), (framing, 2)):
        windows = open_dataset("random-tokens").windows(tokenizer)
        assert len(windows) == 128
        assert {len(window) for window in windows} == {128 + frame}
        assert {int(window.special.sum()) for window in windows} == {frame}
    first = windows[0]
    assert first.token_ids[[0, -1]].tolist() == [framing.cls_token_id, framing.sep_token_id]
    assert first.char_end[[0, 1, 2, -2, -1]].tolist() == [0, 1, 2, 128, 128]


def test_random_tokens_are_the_same_each_time_and_as_many_as_asked(plain):
    one, other = (open_dataset("random-tokens", tokens=3000).windows(plain) for _ in range(2))
    assert all(np.array_equal(mine.token_ids, yours.token_ids) for mine, yours in zip(one, other, strict=True))
    assert sum(len(window) for window in one) == 3072
    assert not np.array_equal(one[0].token_ids, one[1].token_ids)
    short = open_dataset("random-tokens", tokens=3000).windows(plain, max_length=50)
    assert sum(len(window) for window in short) == 3000


def test_a_choice_reads_the_first_tokens_of_so_many_texts_and_stands_in_the_name(plain):
    items = open_dataset("python-reference", choice=Choice(texts=9, length=12))
    windows = items.windows(plain)
    assert items.dataset.name == "python-reference[texts=9,length=12]"
    assert [len(window) for window in windows] == [12] * 9
    whole = {window.item_id: window.token_ids for window in open_dataset("python-reference").windows(plain)}
    assert all((whole[window.item_id][:12] == window.token_ids).all() for window in windows)


def test_texts_that_are_too_short_are_skipped_and_too_few_long_ones_refused(plain, tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(f'{{"text": "{"word " * (2 + 20 * (number % 2))}"}}\n' for number in range(12)))
    windows = open_dataset(str(path), choice=Choice(texts=5, length=15)).windows(plain)
    assert all(window.item_id % 2 for window in windows)
    with pytest.raises(BadInput, match=r"8 texts of 15 tokens or more were asked for, and .* has 6 .*: give --texts 6"):
        open_dataset(str(path), choice=Choice(texts=8, length=15)).windows(plain)
    with pytest.raises(BadInput, match="600 tokens of each text were asked for, and the network reads 256 at most"):
        open_dataset(str(path), choice=Choice(length=600)).windows(plain, 256)


def test_without_punctuation_a_window_is_the_same_item(plain):
    whole = dict(open_dataset("python-reference").texts)
    bare = open_dataset("python-reference", choice=Choice(punctuation=False))
    assert bare.dataset.name == "python-reference[no-punctuation]"
    assert bare.dataset.digest != open_dataset("python-reference").dataset.digest
    assert all(text == without_punctuation(whole[item]) for item, text in bare.texts)
    assert without_punctuation("a_b, «c»: d+e.") == "ab c d+e"


def test_documents_say_which_text_a_window_was_cut_from(tmp_path):
    path = tmp_path / "two.jsonl"
    path.write_text(f'{{"text": "{"a" * 50}"}}\n{{"text": "{"b" * 30}"}}\n')
    items = open_dataset(str(path), window=20)
    assert {item: text[0] for item, text in items.texts} == {0: "a", 1: "a", 2: "a", 3: "b", 4: "b"}
    assert items.documents() == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1}
    assert open_dataset("random-tokens").documents() is None


def test_random_tokens_are_chosen_alike(framing):
    windows = open_dataset("random-tokens", choice=Choice(texts=4, length=10)).windows(framing)
    assert [len(window) for window in windows] == [10] * 4
