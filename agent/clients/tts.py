"""The voice as one utterance sees it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from agent.clients.types import SpeechAudio, Voice
from agent.clients.workers import Workers


class Mouth:
    """One utterance. Methods are non-blocking."""

    def phrase(self, phrase_id: int, text: str) -> None:
        """Speak `text` (1 to 2000 code points) after what came before; ids grow."""
        raise NotImplementedError

    def flush(self) -> None:
        """No more phrases follow."""
        raise NotImplementedError

    def stop(self) -> None:
        """Speak no further phrase; `audio` ends after the phrase under way. (To be silent at once: leave.)"""
        raise NotImplementedError

    def audio(self) -> AsyncIterator[SpeechAudio]:
        """Sound in order; ends after flush or stop. Raises Unavailable when no worker was reachable for 1.2 s,
        InvalidRequest, NotFound (voice), InternalError."""
        raise NotImplementedError


class TextToSpeech:
    """Opens mouths. One per process."""

    def __init__(self, workers: Workers) -> None:
        raise NotImplementedError

    def open(
        self,
        call_id: str,
        voice: str = "",
        language: str = "",
        rate: int = 8000,
        seed: int | None = None,
        speed: float | None = None,
    ) -> AbstractAsyncContextManager[Mouth]:
        """An utterance that lives as long as the context; leaving it early silences it."""
        raise NotImplementedError

    async def list_voices(self, language: str = "") -> tuple[Voice, ...]:
        """Voices of one worker. Raises Unavailable."""
        raise NotImplementedError
