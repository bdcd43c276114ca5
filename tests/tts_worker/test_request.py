import math
from typing import Any

import numpy as np
import pytest

from services.errors import InvalidRequest, NotFound
from tts_worker.casting import Casting, Company, Open, cast, speaks
from tts_worker.clip import clip_of
from tts_worker.engine import FRAME, Mark, Piece, Voice
from tts_worker.request import LONGEST_QUEUE, Flush, Order, Phrase, Recital, Stop, Stream
from tts_worker.resume import Resume, unpack
from tts_worker.sound import Encoding

VOICES = (Voice("heart", ("en-US",), ""), Voice("luna", ("de-DE", "en"), ""))
RECORDING = np.random.default_rng(1).integers(-9000, 9000, 24_000, dtype="<i2").tobytes()
OPEN: dict[str, Any] = {"sample_rate": 8000, "encoding": Encoding.MULAW}


def casting(clones: bool = False, **options: Any) -> Casting:
    return cast(Open(**OPEN | options), Company("model", VOICES, clones), default_seed=7)


@pytest.mark.parametrize(
    ("options", "field", "valid"),
    [
        ({"sample_rate": 0}, "open.sample_rate", "8000, 16000, 24000"),
        ({"sample_rate": 44100}, "open.sample_rate", "8000, 16000, 24000"),
        ({"encoding": None}, "open.encoding", "PCM_S16LE, MULAW, ALAW"),
        ({"sample_rate": 16000}, "open.encoding", "8000"),
        ({"speed": 0.4}, "open.speed", "0.5 to 2"),
        ({"speed": math.nan}, "open.speed", "0.5 to 2"),
        ({"guidance": 5.1}, "open.guidance", "0 to 5"),
        ({"guidance": -0.1}, "open.guidance", "0 to 5"),
        ({"guidance": math.nan}, "open.guidance", "0 to 5"),
        ({"guidance": math.inf}, "open.guidance", "0 to 5"),
        ({"seed": -1}, "open.seed", "0 to"),
        ({"language": "fr"}, "open.language", "en-US"),
        ({"language": "en-GB"}, "open.language", "en-US"),
        ({"resume": b"nonsense"}, "open.resume", "resume blob"),
        (
            {"reference_audio": RECORDING},
            "open.reference_audio",
            "no encoder for recordings; valid: none, and open.voice",
        ),
        ({"reference_audio": b""}, "open.reference_audio", "one of heart, luna"),
        (
            {"reference_audio": RECORDING, "clones": True},
            "open.language",
            "not given, and a recording does not tell it",
        ),
        ({"reference_audio": RECORDING, "clones": True, "language": "fr"}, "open.language", "en-US, de-DE, en"),
        ({"reference_audio": b"", "clones": True, "language": "de"}, "open.reference_audio", "1 to 30 s"),
    ],
)
def test_what_open_may_not_say(options: dict[str, Any], field: str, valid: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        casting(**options)
    assert refused.value.field == field
    assert valid in str(refused.value)


def test_an_unknown_voice_is_not_found_and_the_valid_ones_are_named() -> None:
    with pytest.raises(NotFound, match=r"'emma' .*heart, luna"):
        casting(voice="emma")


def test_what_is_not_given_has_a_default() -> None:
    cast_ = casting()
    assert (cast_.voice.name, cast_.speed, cast_.seed, cast_.guidance) == ("heart", 1.0, 7, None)
    assert casting(voice="luna", language="de", seed=0).seed == 0


def test_a_recording_goes_before_the_name_of_a_voice() -> None:
    cast_ = casting(clones=True, reference_audio=RECORDING, voice="luna", language="de")
    assert (cast_.voice.name, cast_.language) == ("reference", "de-DE")
    stream = Stream(cast_)
    stream.take(Phrase(1, "text"))
    order = stream.next()
    assert order is not None
    assert order.utterance.reference is not None
    assert order.utterance.reference.tobytes() == (np.frombuffer(RECORDING, "<i2") / np.float32(2**15)).tobytes()
    assert order.utterance.reference_key == clip_of(RECORDING).key


def test_a_recording_is_in_no_text_about_it() -> None:
    """What is printed by accident, a log line or a traceback, holds neither bytes nor samples."""
    open_ = Open(**OPEN, reference_audio=RECORDING, language="en")
    cast_ = cast(open_, Company("model", VOICES, clones=True), default_seed=7)
    for printed in (repr(open_), repr(cast_), repr(Stream(cast_)._order(PHRASE, None))):
        assert len(printed) < 1000
        assert "array" not in printed


def test_languages_are_matched_by_their_parts() -> None:
    assert speaks(VOICES[0], "")
    assert speaks(VOICES[0], "EN")
    assert not speaks(VOICES[0], "e")
    assert not speaks(VOICES[1], "en-US")


@pytest.mark.parametrize(
    ("options", "language"),
    [
        ({}, "en-US"),
        ({"language": "EN"}, "en-US"),
        ({"voice": "luna"}, "de-DE"),
        ({"voice": "luna", "language": "en"}, "en"),
    ],
)
def test_the_engine_is_told_the_language(options: dict[str, Any], language: str) -> None:
    stream = Stream(casting(**options))
    stream.take(Phrase(1, "text"))
    order = stream.next()
    assert order is not None
    assert order.utterance.language == language


def test_phrases_are_spoken_in_order_and_flush_ends() -> None:
    stream = Stream(casting())
    for number in (3, 5):
        stream.take(Phrase(number, f"text {number}"))
    stream.take(Flush())
    orders = [stream.next(), stream.next()]
    assert [order.phrase.phrase_id for order in orders if order] == [3, 5]
    assert stream.next() is None
    assert stream.finished


def test_stop_drops_what_waits_and_what_still_comes() -> None:
    stream = Stream(casting())
    stream.take(Phrase(1, "one"))
    stream.take(Stop())
    stream.take(Phrase(2, "two"))
    assert stream.next() is None
    assert stream.finished


def test_stop_leaves_the_phrase_that_an_earlier_stream_has_begun() -> None:
    stream = Stream(casting(resume=blobs_of(casting(), PHRASE)[1]))
    for command in (PHRASE, Phrase(10, "next"), Stop(), Phrase(11, "later")):
        stream.take(command)
    orders = list(iter(stream.next, None))
    assert [(order.phrase.phrase_id, order.utterance.piece, order.skip) for order in orders if order] == [(9, 0, 2)]
    assert stream.finished


@pytest.mark.parametrize(
    ("before", "command", "field"),
    [
        ([], Open(), "open"),
        ([Flush()], Phrase(1, "x"), "phrase"),
        ([], Phrase(1, ""), "phrase.text"),
        ([], Phrase(1, "x" * 2001), "phrase.text"),
        ([Phrase(4, "x")], Phrase(4, "y"), "phrase.phrase_id"),
        ([Phrase(4, "x")], Phrase(3, "y"), "phrase.phrase_id"),
    ],
)
def test_what_breaks_the_order(before: list[Any], command: Any, field: str) -> None:
    stream = Stream(casting())
    for earlier in before:
        stream.take(earlier)
    with pytest.raises(InvalidRequest) as refused:
        stream.take(command)
    assert refused.value.field == field


def test_waiting_phrases_are_bounded() -> None:
    stream = Stream(casting())
    for number in range(LONGEST_QUEUE):
        assert not stream.full
        stream.take(Phrase(number, "x"))
    assert stream.full
    stream.next()
    assert not stream.full


def piece(frames: int, first: int, end: int, last: bool) -> Piece:
    return Piece(np.zeros(frames * FRAME, np.float32), (Mark(0, first), Mark(frames * FRAME, end)), last)


def blobs_of(cast_: Casting, phrase: Phrase) -> list[bytes]:
    """The resume blobs of a phrase of two pieces, of 2 and 3 frames."""
    stream = Stream(cast_)
    stream.take(phrase)
    order = stream.next()
    assert order is not None
    recital = Recital(order, cast_)
    return [m.resume for p in (piece(2, 0, 4, False), piece(3, 4, 8, True)) for m in recital.messages(p)]


def resumed(blob: bytes, *phrases: Phrase) -> list[Order]:
    stream = Stream(casting(resume=blob))
    for one in phrases:
        stream.take(one)
    return [order for order in iter(stream.next, None) if order]


PHRASE = Phrase(9, "abcdefgh")


def test_a_phrase_goes_on_after_any_message() -> None:
    blobs = blobs_of(casting(seed=5), PHRASE)
    frames = []
    for blob in blobs[:-1]:
        (order,) = resumed(blob, PHRASE)
        assert order.utterance.seed == 5
        recital = Recital(order, casting(seed=5))
        pieces = [piece(2, 0, 4, False), piece(3, 4, 8, True)][order.utterance.piece :]
        messages = [m for p in pieces for m in recital.messages(p)]
        frames.append([m.frame for m in messages])
        assert [m.resume for m in messages] == blobs[messages[0].frame :]
    assert frames == [[1, 2, 3, 4], [2, 3, 4], [3, 4], [4]]


def test_spans_touch_though_an_engine_thinks_better_of_its_estimate() -> None:
    """The first piece was said to end at 4; the second begins at 6 by what has been learned since, or at 2."""
    for begun in (6, 2):
        stream = Stream(casting())
        stream.take(PHRASE)
        order = stream.next()
        assert order is not None
        recital = Recital(order, casting())
        messages = [m for p in (piece(2, 0, 4, False), piece(2, begun, 8, True)) for m in recital.messages(p)]
        assert [a.span[1] for a in messages[:-1]] == [b.span[0] for b in messages[1:]]
        assert (messages[0].span[0], messages[-1].span[1]) == (0, 8)


def test_spans_touch_though_another_worker_has_another_estimate() -> None:
    blob = blobs_of(casting(), PHRASE)[0]  # after "ab"
    (order,) = resumed(blob, PHRASE)
    messages = Recital(order, casting()).messages(piece(2, 0, 1, False))  # which is "a" here
    assert [m.span for m in messages] == [(2, 2)]
    (order,) = resumed(messages[0].resume, PHRASE)
    assert [m.span for m in Recital(order, casting()).messages(piece(3, 0, 8, True))] == [(2, 8)]


def test_after_a_complete_phrase_the_next_one_is_spoken_whether_or_not_the_first_is_sent_again() -> None:
    blob = blobs_of(casting(), PHRASE)[-1]
    following = Phrase(10, "next")
    for phrases in ([PHRASE, following], [following]):
        assert [order.phrase.phrase_id for order in resumed(blob, *phrases)] == [10]


def test_resume_fits_its_phrase_only() -> None:
    blob = blobs_of(casting(), PHRASE)[0]
    for wrong, field in ((Phrase(9, "other"), "phrase.text"), (Phrase(10, "abcdefgh"), "phrase.phrase_id")):
        with pytest.raises(InvalidRequest) as refused:
            resumed(blob, wrong)
        assert refused.value.field == field


@pytest.mark.parametrize("options", [{"voice": "luna"}, {"speed": 1.5}, {"guidance": 1.0}])
def test_resume_fits_its_voice_only(options: dict[str, Any]) -> None:
    blob = blobs_of(casting(), PHRASE)[0]
    with pytest.raises(InvalidRequest, match="another model, voice, language, recording, speed"):
        casting(resume=blob, **options)


def test_resume_fits_its_language_only() -> None:
    blob = blobs_of(casting(voice="luna"), PHRASE)[0]
    assert casting(resume=blob, voice="luna", language="de").resume is not None
    with pytest.raises(InvalidRequest, match="another model, voice, language"):
        casting(resume=blob, voice="luna", language="en")


def test_resume_fits_its_recording_only() -> None:
    same: dict[str, Any] = {"clones": True, "language": "de"}
    blob = blobs_of(casting(**same, reference_audio=RECORDING), PHRASE)[0]
    assert casting(**same, reference_audio=RECORDING, resume=blob).resume is not None
    for other in (RECORDING[2:] + RECORDING[:2], None):
        with pytest.raises(InvalidRequest, match="another model, voice, language"):
            casting(**same, reference_audio=other, voice="luna", resume=blob)


def test_resume_brings_its_seed() -> None:
    blob = blobs_of(casting(seed=5), PHRASE)[0]
    assert casting(resume=blob).seed == 5
    with pytest.raises(InvalidRequest, match=r"open\.seed"):
        casting(resume=blob, seed=6)


def test_a_seed_that_was_chosen_for_the_client_is_in_the_blob() -> None:
    assert unpack(blobs_of(casting(), PHRASE)[0]) == Resume(
        last=False,
        seed=7,
        phrase_id=9,
        frame=1,
        said=2,
        piece=0,
        piece_frame=0,
        text=unpack(blobs_of(casting(), PHRASE)[1]).text,
        maker=casting().maker,
    )
