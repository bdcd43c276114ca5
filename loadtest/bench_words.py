"""How well the recogniser understands callers: 60 sentences in the packaged voice through G.711, over gRPC.

    python -m loadtest.bench_words [--verbose]

Each sentence is sent to the real worker as µ-law at 8 kHz and asked for as final, once without hints and once with the
names that occur among a dozen that do not. It is synthetic speech: a figure to compare versions by, no forecast for
human callers.
"""

import argparse
import asyncio
import re
import statistics
import sys
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jiwer
import numpy as np

from agent.audio import Samples
from loadtest.scenario import Voice
from loadtest.voice import Studio
from loadtest.wording import normal
from protos import common_pb2, speech_to_text_pb2, speech_to_text_pb2_grpc
from services.server import Drain
from stt_worker.build import NAME, service
from stt_worker.config import SttSettings
from stt_worker.sound import from_mulaw

SENTENCES = Path(__file__).with_name("data") / "phone_sentences.toml"
RATE = 8000
CHUNK = 800
LEAD, TAIL = 0.2, 0.4
"""Seconds of silence around a sentence."""
WER_TARGET = 0.08
NAMES_TARGET = 0.75

Stub = Any
"""The generated stub; its type exists for type checkers only, and not alike for asyncio."""


@dataclass(frozen=True)
class Sentence:
    """What is said, and which of its words must be right."""

    text: str
    kind: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """The sentences, the names in them, and names that are not."""

    sentences: tuple[Sentence, ...]
    names: tuple[str, ...]
    decoys: tuple[str, ...]

    @property
    def hints(self) -> tuple[str, ...]:
        """All names, in an order that tells nothing."""
        return tuple(sorted((*self.names, *self.decoys)))


@dataclass(frozen=True)
class Heard:
    """A sentence and what became of it."""

    sentence: Sentence
    text: str
    decode_seconds: float
    speech_seconds: float

    @property
    def keys_right(self) -> int:
        """How many of the words that matter were understood."""
        return sum(has(self.text, key) for key in self.sentence.keys)

    def false_names(self, names: Sequence[str]) -> int:
        """How many of the names were written though nobody said them."""
        return sum(has(self.text, name) and not has(self.sentence.text, name) for name in names)


@dataclass(frozen=True)
class WordsReport:
    """Both runs; rates from 0 to 1."""

    without_hints: tuple[Heard, ...]
    with_hints: tuple[Heard, ...]
    decoys: tuple[str, ...]

    @property
    def word_error_rate(self) -> float:
        """With hints, all sentences together."""
        return word_error_rate(self.with_hints)

    @property
    def names_right(self) -> float:
        """With hints among a dozen decoys."""
        return keys_right([heard for heard in self.with_hints if heard.sentence.kind == "name"])

    @property
    def false_names(self) -> int:
        """Decoys written in place of something else."""
        return sum(heard.false_names(self.decoys) for heard in self.with_hints)

    @property
    def decode_seconds(self) -> float:
        """Median time of a final decode."""
        return statistics.median(heard.decode_seconds for heard in self.with_hints)

    @property
    def passed(self) -> bool:
        """Whether both targets are reached."""
        return self.word_error_rate <= WER_TARGET and self.names_right >= NAMES_TARGET


def corpus(path: Path = SENTENCES) -> Corpus:
    """The sentences of a file."""
    data = tomllib.loads(path.read_text())
    sentences = tuple(Sentence(s["text"], s["kind"], tuple(s["keys"])) for s in data["sentences"])
    return Corpus(sentences, tuple(data["names"]), tuple(data["decoys"]))


def comparable(text: str) -> str:
    """`normal`, and digits and spelled letters joined: "5-5-1 2" is "5512", "m a r k" is "mark"."""
    text = re.sub(r"(?<![\d:.])0+(?=\d)", lambda zeros: " ".join(zeros[0]) + " ", text)  # it would drop leading zeros
    digits = re.sub(r"\bone\b", "1", normal(text))  # and it writes a lone 1 so
    joined = re.sub(r"(?<=\d)[\s-]+(?=\d)", "", digits)
    return re.sub(r"\b(?:[a-z] ){2,}[a-z]\b", lambda match: match[0].replace(" ", ""), joined)


def has(text: str, key: str) -> bool:
    """Whether a key is in a text, whatever the blanks."""
    return comparable(key).replace(" ", "") in comparable(text).replace(" ", "")


def word_error_rate(heard: Sequence[Heard]) -> float:
    """Errors over words said, all sentences together."""
    return float(jiwer.wer([comparable(h.sentence.text) for h in heard], [comparable(h.text) for h in heard]))


def keys_right(heard: Sequence[Heard]) -> float:
    """Share of the keys that were understood."""
    return sum(h.keys_right for h in heard) / sum(len(h.sentence.keys) for h in heard)


def run(path: Path = SENTENCES) -> WordsReport:
    """Synthesise, recognise, compare. About half a minute. Raises ServiceError if the worker cannot start."""
    texts = corpus(path)
    studio = Studio()
    clips = [studio.clip(s.text, Voice(seed=n)).samples for n, s in enumerate(texts.sentences)]
    return asyncio.run(_run(texts, clips))


async def _run(texts: Corpus, clips: Sequence[Samples]) -> WordsReport:
    async with worker(SttSettings.read({"TRUNKLINE_STT_DECODERS": "1"})) as stub:
        plain = await _recognise(stub, texts.sentences, clips, ())
        hinted = await _recognise(stub, texts.sentences, clips, texts.hints)
    return WordsReport(plain, hinted, texts.decoys)


@asynccontextmanager
async def worker(settings: SttSettings) -> AsyncIterator[Stub]:
    """The real servicer behind a real socket, in this process. Raises ServiceError."""
    served = service(settings, Drain())
    server = grpc.aio.server()
    served.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await served.warm_up()
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield speech_to_text_pb2_grpc.SpeechToTextStub(channel)
    finally:
        await server.stop(0)
        await served.close()


async def _recognise(
    stub: Stub,
    sentences: Sequence[Sentence],
    clips: Sequence[Samples],
    hints: Sequence[str],
) -> tuple[Heard, ...]:
    return tuple(
        [await _recognise_one(stub, sentence, clip, hints) for sentence, clip in zip(sentences, clips, strict=True)]
    )


async def _recognise_one(stub: Stub, sentence: Sentence, clip: Samples, hints: Sequence[str]) -> Heard:
    request = speech_to_text_pb2.RecognizeRequest
    data = to_mulaw(np.pad(clip, (int(LEAD * RATE), int(TAIL * RATE))))
    call = stub.Recognize()
    await call.write(
        request(
            open=speech_to_text_pb2.Open(
                sample_rate=RATE,
                encoding=common_pb2.ENCODING_MULAW,
                hints=speech_to_text_pb2.Hints(phrases=hints),
            )
        )
    )
    for first in range(0, len(data), CHUNK):
        chunk = speech_to_text_pb2.Audio(first_sample=first, data=data[first : first + CHUNK])
        await call.write(request(audio=chunk))
    final = speech_to_text_pb2.TRANSCRIPT_KIND_FINAL
    await call.write(
        request(transcribe=speech_to_text_pb2.Transcribe(request_id=1, through_sample=len(data), kind=final))
    )
    await call.done_writing()
    async for response in call:
        if response.WhichOneof("message") == "transcript":
            answer = response.transcript
    return Heard(sentence, answer.text, answer.decode_seconds, len(clip) / RATE)


def to_mulaw(samples: Samples) -> bytes:
    """The nearest of the 256 values of G.711 for each sample."""
    codes = np.argsort(_VALUES, kind="stable")
    values = _VALUES[codes]
    middles = (values[1:] + values[:-1]) / 2
    return codes[np.searchsorted(middles, samples)].astype(np.uint8).tobytes()


_VALUES = from_mulaw(bytes(range(256))).astype(np.int32)


def _kinds(heard: Sequence[Heard]) -> list[str]:
    return list(dict.fromkeys(h.sentence.kind for h in heard))


def _table(report: WordsReport) -> list[str]:
    def rows(heard: Sequence[Heard]) -> dict[str, tuple[float, float]]:
        groups = {kind: tuple(h for h in heard if h.sentence.kind == kind) for kind in _kinds(heard)}
        groups["all"] = tuple(heard)
        return {name: (100 * word_error_rate(group), 100 * keys_right(group)) for name, group in groups.items()}

    plain, hinted = rows(report.without_hints), rows(report.with_hints)
    lines = ["| | word errors, keys right | with hints |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {wer:.1f} %, {right:.0f} % | {hinted[name][0]:.1f} %, {hinted[name][1]:.0f} % |"
        for name, (wer, right) in plain.items()
    ]
    return [
        *lines,
        "",
        f"names right with hints among {len(report.decoys)} decoys: {100 * report.names_right:.0f} %; "
        f"decoys written: {report.false_names}; decode time of a final, median: {1000 * report.decode_seconds:.0f} ms "
        f"for {statistics.median(h.speech_seconds for h in report.with_hints):.1f} s of speech; service: {NAME}",
    ]


def main() -> None:
    """Print the table; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench_words", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="print what was said and heard where they differ")
    verbose = parser.parse_args().verbose
    report = run()
    if verbose:
        for heard in report.with_hints:
            if comparable(heard.sentence.text) != comparable(heard.text):
                sys.stdout.write(f"said:  {heard.sentence.text}\nheard: {heard.text}\n\n")
    sys.stdout.write("\n".join(_table(report)) + "\n")
    sys.exit(not report.passed)


if __name__ == "__main__":
    main()
