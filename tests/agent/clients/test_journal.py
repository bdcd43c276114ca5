"""Frames to messages, and what a replay tells: always the same sound at the same positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clients.journal import Ask, Chunk, Entry, Journal
from agent.clients.types import TranscriptKind

FINAL, SPECULATIVE = TranscriptKind.FINAL, TranscriptKind.SPECULATIVE


def sound(first: int, end: int) -> np.ndarray:
    return (np.arange(first, end) % 20_000 + 1).astype(np.int16)


def speak(journal: Journal, first: int, end: int) -> list[Entry]:
    out = []
    for position in range(first, end, 160):
        out += journal.push(position, sound(position, min(position + 160, end)))
    return out


def ranges(entries: list[Entry]) -> list[tuple[int, int]]:
    return [(entry.first, entry.end) for entry in entries if isinstance(entry, Chunk)]


def laid_out(entries: list[Entry], length: int) -> np.ndarray:
    line = np.zeros(length, np.int16)
    for entry in entries:
        if isinstance(entry, Chunk):
            line[entry.first : entry.end] = entry.samples
    return line


def test_four_frames_make_a_message() -> None:
    journal = Journal(8000)
    assert ranges(speak(journal, 0, 1600)) == [(0, 640), (640, 1280)]
    assert ranges(journal.ask(Ask(1, 1600, FINAL))) == [(1280, 1600)]


def test_a_gap_ends_a_message() -> None:
    journal = Journal(8000)
    speak(journal, 0, 320)
    assert ranges(speak(journal, 3200, 3360)) == [(0, 320)]


def test_a_long_push_is_cut_into_messages_of_the_contracts_length() -> None:
    pieces = ranges(Journal(8000).push(0, sound(0, 8010)))
    assert pieces[0][0] == 0
    assert pieces[-1][1] == 8010
    assert all(160 <= end - first <= 1600 for first, end in pieces)


def test_sound_that_was_taken_before_is_dropped() -> None:
    journal = Journal(8000)
    speak(journal, 0, 640)
    assert journal.push(0, sound(0, 640)) == []
    entries = journal.push(480, sound(480, 1280))
    assert ranges(entries) == [(640, 1280)]
    np.testing.assert_array_equal(laid_out(entries, 1280)[640:], sound(640, 1280))


def test_a_final_answer_forgets_what_it_covers() -> None:
    journal = Journal(8000)
    speak(journal, 0, 1280)
    journal.ask(Ask(1, 1000, FINAL))
    speak(journal, 1280, 1920)
    assert journal.answered(1, superseded=False)
    assert ranges(journal.replay()) == [(1000, 1920)]
    assert journal.kept == 920


def test_a_speculative_or_superseded_answer_forgets_nothing() -> None:
    journal = Journal(8000)
    speak(journal, 0, 640)
    journal.ask(Ask(1, 640, SPECULATIVE))
    journal.ask(Ask(2, 640, FINAL))
    assert journal.answered(1, superseded=False)
    assert journal.answered(2, superseded=True)
    assert journal.kept == 640
    assert journal.waiting == ()


def test_what_was_not_asked_is_no_answer() -> None:
    journal = Journal(8000)
    journal.ask(Ask(1, 0, FINAL))
    assert not journal.answered(2, superseded=False)
    assert journal.answered(1, superseded=False)
    assert not journal.answered(1, superseded=False)


def test_a_replay_keeps_the_order_of_sound_and_questions() -> None:
    journal = Journal(8000)
    speak(journal, 0, 640)
    journal.ask(Ask(1, 640, SPECULATIVE))
    speak(journal, 640, 1280)
    journal.ask(Ask(2, 1280, FINAL))
    replay = journal.replay()
    assert [type(entry) for entry in replay] == [Chunk, Ask, Chunk, Ask]


def test_of_a_very_long_turn_the_beginning_is_given_up() -> None:
    journal = Journal(8000)
    for second in range(70):
        journal.push(second * 8000, sound(0, 8000))
    assert journal.kept <= 60 * 8000
    assert ranges(journal.replay())[-1][1] == 70 * 8000


PUSHES = st.lists(st.tuples(st.integers(0, 800), st.integers(160, 900), st.integers(0, 9)), max_size=30)


@pytest.mark.parametrize("rate", [8000, 16000])
@given(pushes=PUSHES)
def test_sent_or_replayed_the_sound_is_where_it_was(rate: int, pushes: list[tuple[int, int, int]]) -> None:
    journal = Journal(rate)
    truth, sent, position, forgotten = np.zeros(60_000, np.int16), [], 0, 0
    for number, (gap, length, then) in enumerate(pushes):
        position += gap if then % 3 == 0 else 0
        truth[position : position + length] = sound(position, position + length)
        sent += journal.push(position, sound(position, position + length))
        position += length
        if then == 9:
            through = max(0, position - 200)
            sent += journal.ask(Ask(number, through, FINAL))
            journal.answered(number, superseded=False)
            forgotten = through
    sent += journal.ask(Ask(1000, position, SPECULATIVE))
    np.testing.assert_array_equal(laid_out(sent, 60_000), truth)
    truth[:forgotten] = 0
    np.testing.assert_array_equal(laid_out(journal.replay(), 60_000), truth)
    assert all(first < end <= first + rate // 5 for first, end in ranges(sent) + ranges(journal.replay()))
