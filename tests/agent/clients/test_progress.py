"""What is left to say, after every way to be cut off."""

import numpy as np
import pytest

from agent.clients.progress import Heard, Progress
from agent.clients.types import SpeechAudio


def heard(phrase: int, first: int, count: int = 100, last: bool = False, blob: bytes = b"") -> Heard:
    samples = np.arange(first, first + count).astype(np.int16)
    return Heard(SpeechAudio(phrase, samples, 0, 1, first, last), blob)


def two_phrases() -> Progress:
    progress = Progress()
    progress.add(1, "one")
    progress.add(2, "two")
    return progress


def test_before_any_sound_everything_is_left() -> None:
    assert two_phrases().remaining() == [(1, "one"), (2, "two")]


def test_phrases_before_the_one_under_way_are_not_sent_again() -> None:
    progress = two_phrases()
    progress.accept(heard(1, 0, last=True))
    progress.accept(heard(2, 0, blob=b"x"))
    assert (progress.remaining(), progress.resume) == ([(2, "two")], b"x")


def test_after_a_complete_phrase_the_blob_names_it_and_without_a_blob_it_is_left_out() -> None:
    progress = two_phrases()
    progress.accept(heard(1, 0, last=True, blob=b"x"))
    assert progress.remaining() == [(1, "one"), (2, "two")]
    progress.resume = b""
    assert progress.remaining() == [(2, "two")]


def test_sound_that_is_known_is_cut_off() -> None:
    progress = two_phrases()
    progress.accept(heard(1, 0))
    assert progress.accept(heard(1, 0)) is None
    rest = progress.accept(heard(1, 60, last=True))
    assert rest is not None
    assert (rest.first_sample, list(rest.samples)) == (100, list(range(100, 160)))


def test_the_mark_of_the_last_sound_is_not_lost_with_sound_that_is_known() -> None:
    progress = two_phrases()
    progress.accept(heard(1, 0))
    rest = progress.accept(heard(1, 0, last=True))
    assert rest is not None
    assert (len(rest.samples), rest.last_of_phrase) == (0, True)


def test_sound_of_nothing_that_was_asked_is_dropped() -> None:
    progress = two_phrases()
    progress.accept(heard(2, 0))
    assert progress.accept(heard(1, 100)) is None
    assert progress.accept(heard(3, 0)) is None


def test_complete_when_flushed_and_all_is_there() -> None:
    progress = two_phrases()
    progress.accept(heard(1, 0, last=True))
    progress.flushed = True
    assert not progress.complete()
    progress.accept(heard(2, 0))
    assert not progress.complete()
    progress.accept(heard(2, 100, last=True))
    assert progress.complete()


def test_stopped_leaves_only_the_phrase_under_way() -> None:
    progress = two_phrases()
    progress.accept(heard(1, 0))
    progress.stopped = True
    assert progress.remaining() == [(1, "one")]
    assert not progress.complete()
    progress.accept(heard(1, 100, last=True))
    assert progress.complete()


def test_ids_grow() -> None:
    progress = two_phrases()
    with pytest.raises(ValueError, match="phrase 2 comes after phrase 2"):
        progress.add(2, "again")
    progress.accept(heard(2, 0, last=True))
    with pytest.raises(ValueError, match="ids grow"):
        progress.add(1, "again")
