"""PURE: the first message of a stream, checked and completed: who speaks, how, and from where on."""

import math
from dataclasses import dataclass, field

from services.errors import InvalidRequest, NotFound
from tts_worker.clip import Clip, clip_of
from tts_worker.engine import Voice
from tts_worker.resume import ForeignBlob, Resume, fingerprint, unpack
from tts_worker.sound import RATES, Encoding, frame_samples

CLONED = "reference"
"""Name of the voice that a recording gives."""


@dataclass(frozen=True)
class Company:
    """What an engine can be asked for."""

    model: str
    voices: tuple[Voice, ...]
    clones: bool
    """It can take a voice from a recording."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Of all voices, each once."""
        return tuple(dict.fromkeys(language for voice in self.voices for language in voice.languages))


@dataclass(frozen=True)
class Open:
    """First command. `None`: not given."""

    voice: str = ""
    language: str = ""
    sample_rate: int = 0
    encoding: Encoding | None = None
    seed: int | None = None
    guidance: float | None = None
    speed: float | None = None
    resume: bytes | None = None
    reference_audio: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Casting:
    """How a stream sounds: what `Open` said, checked and completed."""

    voice: Voice
    language: str
    """One of the voice's."""
    rate: int
    encoding: Encoding
    seed: int
    speed: float
    guidance: float | None
    maker: int
    resume: Resume | None
    clip: Clip | None = None
    """Of whom the voice is, where it is not one of the engine's."""

    @property
    def frame_samples(self) -> int:
        """Samples of a message."""
        return frame_samples(self.rate)


def cast(open_: Open, company: Company, default_seed: int) -> Casting:
    """The stream that `open_` asks for. Raises InvalidRequest and NotFound, naming the field and what is valid."""
    clip = _clip(open_, company)
    voice = _voice(open_, company.voices) if clip is None else Voice(CLONED, company.languages, "from a recording")
    if not speaks(voice, open_.language):
        languages = ", ".join(voice.languages)
        raise InvalidRequest("open.language", f"{open_.language[:64]!r}; voice {voice.name} speaks {languages}")
    if open_.sample_rate not in RATES:
        raise InvalidRequest("open.sample_rate", f"{open_.sample_rate}; valid: {', '.join(map(str, RATES))}")
    if open_.encoding is None:
        raise InvalidRequest("open.encoding", f"not given or unknown; valid: {', '.join(e.value for e in Encoding)}")
    if open_.encoding is not Encoding.PCM_S16LE and open_.sample_rate != 8000:
        raise InvalidRequest("open.encoding", f"{open_.encoding.value} goes with sample_rate 8000 only")
    speed = _within("open.speed", open_.speed, 0.5, 2.0)
    guidance = _within("open.guidance", open_.guidance, 0.0, 5.0)
    if open_.seed is not None and not 0 <= open_.seed < 1 << 64:
        raise InvalidRequest("open.seed", f"{open_.seed}; valid: 0 to 2^64 - 1")
    speed = 1.0 if speed is None else speed
    language = _language(voice, open_.language)
    maker = fingerprint(company.model, voice.name, language, speed, guidance, *([clip.key] if clip else []))
    resume = _resume(open_, maker)
    given = open_.seed if open_.seed is not None else default_seed
    return Casting(
        voice=voice,
        language=language,
        rate=open_.sample_rate,
        encoding=open_.encoding,
        seed=resume.seed if resume else given,
        speed=speed,
        guidance=guidance,
        maker=maker,
        resume=resume,
        clip=clip,
    )


def speaks(voice: Voice, language: str) -> bool:
    """Whether the voice speaks `language`: "en" is any English, "en-US" that of the United States."""
    return not language or any(_is(known, language) for known in voice.languages)


def _is(known: str, wanted: str) -> bool:
    return f"{known.lower()}-".startswith(f"{wanted.lower()}-")


def _language(voice: Voice, wanted: str) -> str:
    """The one that is meant: the voice's first, or its first that is a `wanted`."""
    return next((known for known in voice.languages if not wanted or _is(known, wanted)), "")


def _clip(open_: Open, company: Company) -> Clip | None:
    """The recording, if there is one: it goes before the name of a voice, as everywhere in the family."""
    if open_.reference_audio is None:
        return None
    if not company.clones:
        names = ", ".join(voice.name for voice in company.voices)
        problem = f"this model has no encoder for recordings; valid: none, and open.voice one of {names}"
        raise InvalidRequest("open.reference_audio", problem)
    if not open_.language:
        problem = f"not given, and a recording does not tell it; valid: {', '.join(company.languages)}"
        raise InvalidRequest("open.language", problem)
    return clip_of(open_.reference_audio)


def _voice(open_: Open, voices: tuple[Voice, ...]) -> Voice:
    by_name = {voice.name: voice for voice in voices}
    voice = by_name.get(open_.voice) if open_.voice else voices[0]
    if voice is None:
        raise NotFound(f"open.voice: no voice {open_.voice[:64]!r} here; valid: {', '.join(by_name)}")
    return voice


def _within(field: str, value: float | None, low: float, high: float) -> float | None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise InvalidRequest(field, f"{value:g}; valid: {low:g} to {high:g}")
    return value


def _resume(open_: Open, maker: int) -> Resume | None:
    if open_.resume is None:
        return None
    try:
        resume = unpack(open_.resume)
    except ForeignBlob as error:
        raise InvalidRequest("open.resume", str(error)) from None
    if resume.maker != maker:
        raise InvalidRequest("open.resume", "made with another model, voice, language, recording, speed or guidance")
    if open_.seed is not None and open_.seed != resume.seed:
        raise InvalidRequest("open.seed", "differs from the seed in open.resume; leave it out")
    return resume
