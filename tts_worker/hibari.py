"""The packaged voice: hibari-tts, a small network of the Kokoro family on onnxruntime, sentence by sentence.

Times of words come from the network's own durations: the graph is loaded with one more output, the running sum of
the phonemes' lengths. Nothing is ever downloaded.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from hibari import dsp
from hibari.g2p import G2P
from hibari.tts import ASSETS, Hibari
from hibari.voices import VOICES

from services.errors import InvalidRequest
from tts_worker.engine import FRAME, SAMPLE_RATE, EngineError, Mark, Piece, Sound, Utterance, Voice
from tts_worker.pronunciation import read
from tts_worker.sound import WINDOW, faded, loud_windows, voiced_range
from tts_worker.text import locate, pause_after, prepare, split, words_cover

LONGEST_UNIT = 160
"""Characters spoken at once, about 10 s: what bounds the wait of the other streams, and of the first sound."""
_PACKAGED = "heart"
_DURATIONS = "/CumSum_output_0"
_SAMPLES_PER_STEP = 600
"""The network counts durations in 25 ms."""
_BETWEEN_PARTS = np.zeros(SAMPLE_RATE // 20, dtype=np.float32)


@dataclass
class HibariSpeech:
    """One phrase under way."""

    utterance: Utterance
    text: str
    origins: tuple[int, ...]
    units: list[tuple[int, int]]
    """Ranges of `text`, each spoken as one piece."""
    next: int


@dataclass(frozen=True)
class _Take:
    """What the network made of a string of phonemes."""

    sound: Sound
    ends: npt.NDArray[np.int64]
    """[1 + phonemes + 1] sample at which the silence in front, each phoneme, and the silence behind end."""
    loud: npt.NDArray[np.bool_]

    def times(self, first: int, end: int) -> tuple[int, int]:
        """When the phonemes from `first` to `end` sound, in samples.

        A phoneme's length may hold silence: the pause at a comma is often given to what stands in front of it.
        """
        windows = self.ends[first] // WINDOW, -(-self.ends[end] // WINDOW)
        heard = np.flatnonzero(self.loud[slice(*windows)])
        if not len(heard):
            return int(self.ends[first]), int(self.ends[first])
        start = max(self.ends[first], (windows[0] + heard[0]) * WINDOW)
        stop = min(self.ends[end], (windows[0] + heard[-1] + 1) * WINDOW)
        return int(start), max(int(start), int(stop))


class HibariEngine:
    """See `tts_worker.engine.Engine`. `model_file` replaces the packaged network by another export of it."""

    def __init__(self, model_file: str = "") -> None:
        self._file = Path(model_file or Path(ASSETS) / VOICES[_PACKAGED]["file"])
        self._session: Any = None
        self._g2p: Any = None
        self._vocabulary: dict[str, int] = {}

    @property
    def model(self) -> str:
        """Package and version, and the file if it is not the packaged one."""
        return f"hibari-tts-{version('hibari-tts')}" + (
            "" if self._file.parent == Path(ASSETS) else f":{self._file.stem}"
        )

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The one in the package."""
        return (Voice(_PACKAGED, ("en-US",), "American English, female"),)

    @property
    def clones(self) -> bool:
        """The network knows its own voice only."""
        return False

    @property
    def batch(self) -> int:
        """The network takes one sentence at a time."""
        return 1

    def load(self) -> None:
        """Read network, dictionary and tagger; about 0.6 s. Raises EngineError."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Every sentence has another length: kept arenas and patterns cost memory and save no time (measured).
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        try:
            network = self._file.read_bytes()
        except OSError as error:
            raise EngineError(f"cannot read the speech model {self._file}: {error.strerror}") from None
        try:
            self._session = onnxruntime.InferenceSession(
                _with_output(network, _DURATIONS), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base but this
            raise EngineError(f"{self._file} is no speech model of this kind: {str(error).splitlines()[0]}") from None
        self._vocabulary = json.loads((Path(ASSETS) / "vocab.json").read_text(encoding="utf-8"))
        self._g2p = G2P(british=bool(VOICES[_PACKAGED]["british"]))
        read(self._g2p, "Trunklinian")  # an unknown word loads the network that guesses pronunciations

    def begin(self, utterance: Utterance) -> HibariSpeech:
        """Find the sentences. Raises InvalidRequest."""
        prepared = prepare(utterance.text)
        units = []
        for start, end in locate(Hibari.split_sentences(prepared.text), prepared.text):
            units += [(start + a, start + b) for a, b in split(prepared.text[start:end], LONGEST_UNIT)]
        if utterance.piece >= len(units):
            raise InvalidRequest("open.resume", f"piece {utterance.piece}; the phrase has {len(units)}")
        return HibariSpeech(utterance, prepared.text, prepared.origins, units, utterance.piece)

    def step(self, speeches: Sequence[HibariSpeech]) -> list[Piece]:
        """Speak the next sentence of each."""
        return [self._speak(speech) for speech in speeches]

    def end(self, speech: HibariSpeech) -> None:
        """It holds nothing."""

    def _speak(self, speech: HibariSpeech) -> Piece:
        index = speech.next
        speech.next += 1
        start, end = speech.units[index]
        unit = speech.text[start:end]
        # A generator of its own for each sentence: it sounds the same whether or not the ones before it were made.
        noise = np.random.default_rng([speech.utterance.seed, index])
        samples, marks = self._render(unit, speech.utterance.speed, noise)
        pause = pause_after(unit) / speech.utterance.speed
        frames = max(1, -(-len(samples) // FRAME), round((len(samples) + pause * SAMPLE_RATE) / FRAME))
        return Piece(
            samples=np.pad(samples, (0, frames * FRAME - len(samples))),
            marks=tuple(Mark(m.sample, speech.origins[start + m.code_point]) for m in marks),
            last=speech.next == len(speech.units),
        )

    def _render(self, unit: str, speed: float, noise: np.random.Generator) -> tuple[Sound, list[Mark]]:
        """Trimmed sound of a sentence, and when what of `unit` is said."""
        reading = read(self._g2p, unit)
        if not reading.words:
            return np.zeros(0, np.float32), [Mark(0, 0), Mark(0, len(unit))]
        sounds: list[Sound] = []
        times: list[tuple[int, int]] = []
        for first, end in reading.parts():
            take = self._synthesize(reading.phonemes[first:end], speed, noise)
            begin, stop = voiced_range(take.loud)
            sounds += [_BETWEEN_PARTS] if sounds else []
            shift = sum(map(len, sounds)) - begin
            for word in (word for word in reading.words if first <= word.first < end):
                heard = np.clip(take.times(word.first - first, min(word.end, end) - first), begin, stop) + shift
                times.append((int(heard[0]), int(heard[1])))
            sounds.append(faded(take.sound[begin:stop]))
        return np.concatenate(sounds), _marks(times, words_cover([(w.start, w.stop) for w in reading.words], unit))

    def _synthesize(self, phonemes: str, speed: float, noise: np.random.Generator) -> _Take:
        """Sound with its silences."""
        known = [self._vocabulary.get(c, -1) for c in phonemes]
        ids = [0, *(i for i in known if i >= 0), 0]
        feeds = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        *spectrum, f0, ends = self._session.run(None, feeds)
        sound = dsp.synth(*(part[0] for part in spectrum), f0[0], noise)
        # A phoneme without id takes no time: it ends when the one before it does.
        position = np.cumsum([1, *(i >= 0 for i in known), 1]) - 1
        return _Take(sound, np.asarray(ends, np.int64)[position] * _SAMPLES_PER_STEP, loud_windows(sound))


def _marks(times: Sequence[tuple[int, int]], regions: Sequence[tuple[int, int, int]]) -> list[Mark]:
    """Letters pass evenly while a word sounds; what follows it is said when it ends."""
    marks = [Mark(0, 0)]
    for (begin, end), (start, letters, stop) in zip(times, regions, strict=True):
        marks += [Mark(begin, start), Mark(end, letters), Mark(end, stop)]
    return marks


def _with_output(network: bytes, name: str) -> bytes:
    """An ONNX file with one more output, `name`.

    Protocol buffers that follow each other are merged by definition, so appending ModelProto{graph{output{name}}} adds
    to the list of outputs without a library that can write ONNX.
    """
    output = _field(1, name.encode())
    return network + _field(7, _field(12, output))


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field; both numbers below 128 here."""
    return bytes([number << 3 | 2, len(payload)]) + payload
