"""The sentences of the benchmark, and how they are scored."""

import numpy as np
import pytest

from loadtest.bench_words import (
    Heard,
    Sentence,
    WordsReport,
    comparable,
    corpus,
    has,
    keys_right,
    to_mulaw,
    word_error_rate,
)
from loadtest.g711 import PCMU, decode


def heard(said: str, understood: str, *keys: str, kind: str = "name") -> Heard:
    return Heard(Sentence(said, kind, keys), understood, 0.1, 2.0)


def test_sixty_sentences_whose_keys_are_said_and_a_dozen_names_that_are_not() -> None:
    texts = corpus()
    assert len(texts.sentences) == 60
    assert len(texts.decoys) == 12
    assert not set(texts.names) & set(texts.decoys)
    for sentence in texts.sentences:
        assert sentence.keys
        assert all(has(sentence.text, key) for key in sentence.keys), sentence
    said = " ".join(sentence.text for sentence in texts.sentences)
    assert all(name in said for name in texts.names)
    assert not any(decoy in said for decoy in texts.decoys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("five five five, zero one nine two", "555-0192"),
        ("1, 2, 3, 4", "one two three four"),
        ("M A R K", "m-a-r-k"),
        ("Mister Hathaway", "Mr. Hathaway"),
        ("at nine fifteen", "at 9:15"),
    ],
)
def test_spellings_of_the_same_words_are_no_error(one: str, other: str) -> None:
    assert comparable(one) == comparable(other)


def test_rates_are_over_all_words_and_keys() -> None:
    both = [heard("my name is Oduya", "my name is Arduya", "Oduya"), heard("yes", "yes", "yes")]
    assert word_error_rate(both) == pytest.approx(1 / 5)
    assert keys_right(both) == 1 / 2


def test_the_report_counts_decoys_that_nobody_said_and_passes_on_both_targets() -> None:
    right = heard("it is Oduya", "It is Oduya.", "Oduya")
    wrong = heard("it is Oduya", "It is Achebe.", "Oduya")
    good, bad = WordsReport((), (right,), ("Achebe",)), WordsReport((), (right, wrong), ("Achebe",))
    assert good.passed
    assert good.false_names == 0
    assert not bad.passed
    assert bad.false_names == 1
    assert bad.names_right == 1 / 2


def test_mulaw_is_the_nearest_code() -> None:
    samples = np.arange(-32000, 32000, 7).astype(np.int16)
    back = decode(to_mulaw(samples), PCMU)
    assert back is not None
    values = np.unique(decode(bytes(range(256)), PCMU)).astype(int)
    nearest = np.abs(values[:, None] - samples.astype(int)).min(axis=0)
    assert np.array_equal(np.abs(back.astype(int) - samples), nearest)
