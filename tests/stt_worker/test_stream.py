"""One call's speech: turns, reuse, partials, long turns, memory."""

import numpy as np
import pytest

from services.errors import InvalidRequest
from stt_worker.config import SttSettings
from stt_worker.decoding import understand
from stt_worker.engine import Decoding, Utterance
from stt_worker.scheduler import Kind
from stt_worker.scripted import ScriptedEngine
from stt_worker.sound import Pcm
from stt_worker.stream import Hypothesis, Stream
from stt_worker.transcript import Ask, Task, Understood, joined
from tests.stt_worker.calling import RATE, silence, speech

ENGINE = ScriptedEngine(SttSettings(engine="scripted"))


def stream() -> Stream:
    return Stream(RATE, "", (), partial_seconds=0.3)


def say(to: Stream, samples: Pcm, first: int = 0) -> int:
    """Feed in chunks of 100 ms; returns the position after them."""
    for start in range(0, len(samples), 800):
        to.hear(first + start, samples[start : start + 800])
    return first + len(samples)


def heard(task: Task) -> tuple[Understood, ...]:
    parts = understand(task, ENGINE, lambda: False)
    assert parts is not None
    return parts


def test_a_transcript_covers_the_sound_and_not_the_silence_around_it() -> None:
    one = stream()
    end = say(one, np.concatenate([silence(3), speech(2), silence(1)]))
    task = one.task(Kind.FINAL, end, words=True)
    assert len(task.pieces) == 1
    assert task.pieces[0].first == int(2.8 * RATE)
    assert len(task.pieces[0].samples) == int(2.5 * RATE)
    words = joined(heard(task)).words
    assert [w.text for w in words] == ["i", "would", "like", "to", "book"]
    assert words[0].first == pytest.approx(3 * RATE, abs=0.03 * RATE)
    assert words[-1].end == pytest.approx(5 * RATE, abs=0.03 * RATE)


def test_silence_and_clicks_are_not_decoded() -> None:
    one = stream()
    click = silence(2)
    click[8000:8100] = 20_000
    end = say(one, click)
    assert one.task(Kind.FINAL, end, words=True).pieces == ()


def test_a_final_begins_a_new_turn_with_what_was_heard_after_it() -> None:
    one = stream()
    first = say(one, np.concatenate([speech(1), silence(0.5)]))
    end = say(one, np.concatenate([speech(0.8), silence(0.3)]), first)
    one.finish(first)
    assert joined(heard(one.task(Kind.FINAL, end, words=True))).text == "i would"


def test_a_decode_answers_requests_until_there_is_new_sound() -> None:
    one = stream()
    end = say(one, np.concatenate([speech(1), silence(0.3)]))
    task = one.task(Kind.SPECULATIVE, end, words=True)
    assert one.known(end) is None
    one.learn(task, heard(task))
    later = say(one, silence(1), end)
    known = one.known(later)
    assert known is not None
    assert known.text == "i would"
    last = say(one, speech(0.2), later)
    assert one.known(last) is None
    assert one.known(later) is not None


def test_new_hints_and_a_new_turn_end_the_reuse() -> None:
    one = stream()
    end = say(one, np.concatenate([speech(1), silence(0.3)]))
    task = one.task(Kind.SPECULATIVE, end, words=True)
    one.learn(task, heard(task))
    one.hint(("Oduya",))
    assert one.known(end) is None
    fresh = one.task(Kind.SPECULATIVE, end, words=True)
    assert fresh.hints == ("Oduya",)
    one.learn(task, heard(task))  # decoded with the old hints, arrives late
    assert one.known(end) is None
    one.learn(fresh, heard(fresh))
    assert one.known(end) is not None
    one.finish(end)
    assert one.known(end) is None
    assert one.learn(task, heard(task)) is None


def test_partials_are_due_after_new_speech_and_in_a_pause() -> None:
    one = stream()
    say(one, speech(0.2))
    assert one.partial() is None
    end = say(one, speech(0.1), 1600)
    due = one.partial()
    assert due is not None
    assert not due.words
    assert one.partial() is None
    end = say(one, np.concatenate([speech(0.1), silence(0.1)]), end)
    pause = one.partial()
    assert pause is not None
    assert pause.words  # it may answer the request that is near
    say(one, silence(2), end)
    assert one.partial() is None


def test_partials_become_stable_when_two_agree() -> None:
    one = stream()
    shown = []
    end = 0
    for _ in range(4):
        end = say(one, speech(0.4), end)
        task = one.partial()
        assert task is not None
        shown.append(one.learn(task, heard(task)))
    assert shown[0] == Hypothesis("", "i", int(0.4 * RATE))
    assert shown[-1] == Hypothesis("i would like", "to", int(1.6 * RATE))


def test_a_long_turn_is_settled_in_pieces_and_nothing_is_lost_or_doubled() -> None:
    one = stream()
    end = 0
    longest = 0
    for _ in range(12):  # a minute of talk with pauses of half a second
        end = say(one, np.concatenate([speech(4.4), silence(0.6)]), end)
        while task := one.settle():
            longest = max(longest, *(len(piece.samples) for piece in task.pieces))
            one.learn(task, heard(task))
    last = one.task(Kind.FINAL, end, words=True)
    whole = joined((*last.before, *heard(last)))
    assert len(whole.words) == 12 * 11
    assert [w.first for w in whole.words] == sorted(w.first for w in whole.words)
    assert longest <= 10 * RATE
    assert sum(len(piece.samples) for piece in last.pieces) <= 10 * RATE


def test_a_final_decodes_pieces_that_were_not_settled_in_time() -> None:
    one = stream()
    end = 0
    for _ in range(3):
        end = say(one, np.concatenate([speech(4.4), silence(0.6)]), end)
    settling = one.settle()
    assert settling is not None
    final = one.task(Kind.FINAL, end, words=True)
    assert len(joined((*final.before, *heard(final))).words) == 3 * 11
    one.learn(final, heard(final))
    assert one.settle() is None
    one.learn(settling, heard(settling))  # late, and must not be added once more
    again = one.task(Kind.FINAL, end, words=True)
    assert len(joined((*again.before, *heard(again))).words) == 3 * 11


def test_stable_words_survive_settling() -> None:
    one = stream()
    before, end = "", 0
    for n in range(40):
        end = say(one, np.concatenate([speech(0.5), silence(0.5 if n % 5 == 4 else 0)]), end)
        for task in (one.settle(), one.partial()):
            if task and (hypothesis := one.learn(task, heard(task))):
                assert hypothesis.stable.startswith(before)
                before = hypothesis.stable
    assert len(before.split()) > 30


def test_hours_of_silence_and_far_jumps_cost_no_memory() -> None:
    one = stream()
    end = say(one, silence(60))
    assert one._timeline.held <= 1.3 * RATE
    end = say(one, speech(0.5), 1 << 62)
    assert joined(heard(one.task(Kind.FINAL, end, words=True))).text == "i"
    one.finish(end)
    end = say(one, speech(0.5), end + 3600 * RATE)
    assert len(one.task(Kind.FINAL, end, words=True).pieces[0].samples) <= RATE


def test_speech_that_is_never_decoded_makes_the_stream_overfull() -> None:
    one = stream()
    end = 0
    while not one.overfull:
        end = say(one, np.concatenate([speech(4.4), silence(0.6)]), end)
    assert end / RATE == pytest.approx(60, abs=6)
    task = one.settle()
    assert task is not None
    one.learn(task, heard(task))
    assert not one.overfull


def test_positions_and_requests_out_of_range_are_refused() -> None:
    one = stream()
    one.hear(100, speech(0.1))
    with pytest.raises(InvalidRequest, match=r"audio.first_sample: 899 goes back"):
        one.hear(899, speech(0.1))
    one.check(Ask(1, 900, True))
    with pytest.raises(InvalidRequest, match=r"transcribe.through_sample: 901 is not from 0"):
        one.check(Ask(1, 901, True))
    one.finish(500)
    with pytest.raises(InvalidRequest, match="499 is not from 500"):
        one.check(Ask(2, 499, False))


def test_giving_up_gives_nothing() -> None:
    class Restless:
        name = "restless"

        def understands(self, language: str) -> bool:
            return True

        def decode(self, utterance: Utterance, give_up: object) -> Decoding | None:
            return None

    one = stream()
    end = say(one, speech(1))
    assert understand(one.task(Kind.PARTIAL, end, words=False), Restless(), lambda: True) is None
