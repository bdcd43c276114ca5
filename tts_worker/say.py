"""The worker's engine from the command line, without a server."""

import asyncio
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.errors import ServiceError
from tts_worker.build import studio
from tts_worker.casting import Open, cast
from tts_worker.desk import Format
from tts_worker.recording import RecordingError, clip_bytes
from tts_worker.request import Audio, Flush, Phrase, Recital, Stream
from tts_worker.settings import TtsSettings
from tts_worker.sound import Encoding
from tts_worker.studio import Studio


@dataclass(frozen=True)
class Wish:
    """What `say` was asked for."""

    text: str
    output: Path
    rate: int
    speed: float
    seed: int
    voice: str
    language: str
    reference: Path | None


def say(settings: TtsSettings, wish: Wish) -> None:
    """Speak into a WAV file. What prevents it is one line on stderr and exit code 1."""
    try:
        sound = asyncio.run(_speak(settings, wish))
        with wish.output.open("wb") as target, wave.open(target, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(wish.rate)
            file.writeframes(sound)
    except (ServiceError, RecordingError) as error:
        sys.exit(f"cannot say that: {error}")
    except OSError as error:
        sys.exit(f"cannot write {wish.output}: {error.strerror}")
    sys.stdout.write(f"{wish.output}: {len(sound) / 2 / wish.rate:.2f} s at {wish.rate} Hz, seed {wish.seed}\n")


async def _speak(settings: TtsSettings, wish: Wish) -> bytes:
    opening = Open(
        voice=wish.voice,
        language=wish.language,
        sample_rate=wish.rate,
        encoding=Encoding.PCM_S16LE,
        speed=wish.speed,
        seed=wish.seed,
        reference_audio=clip_bytes(wish.reference) if wish.reference else None,
    )
    stage = studio(settings)
    try:
        await stage.start()
        return b"".join(data for _, data in await perform(stage, opening, [Phrase(1, wish.text)]))
    finally:
        await stage.close()


async def perform(stage: Studio, opening: Open, phrases: Sequence[Phrase]) -> list[tuple[Audio, bytes]]:
    """All messages of one stream, in PCM_S16LE, and their bytes. Raises ServiceError."""
    casting = cast(opening, stage.company, default_seed=0)
    stream = Stream(casting)
    for phrase in phrases:
        stream.take(phrase)
    stream.take(Flush())
    size = 2 * casting.frame_samples
    messages: list[tuple[Audio, bytes]] = []
    seat = stage.enter()
    try:
        while order := stream.next():
            recital = Recital(order, casting)
            async for piece, data in seat.speak(order.utterance, Format(casting.rate, casting.encoding)):
                messages += [(audio, data[audio.piece_frame * size :][:size]) for audio in recital.messages(piece)]
    finally:
        seat.leave()
    return messages


def voices(settings: TtsSettings) -> None:
    """List the voices on stdout. What prevents it is one line on stderr and exit code 1."""
    try:
        stage = studio(settings)
    except ServiceError as error:
        sys.exit(str(error))
    for voice in stage.voices:
        sys.stdout.write(f"{voice.name}  {', '.join(voice.languages)}  {voice.description}\n")
