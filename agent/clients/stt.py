"""The recogniser as one call sees it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from agent.audio import Samples
from agent.clients.types import EarEvent, TranscriptKind
from agent.clients.workers import Workers


class Ear:
    """One call's stream. Methods are non-blocking; entering does not wait for a worker."""

    def audio(self, position: int, samples: Samples) -> None:
        """20 ms (or any length) at `position`. What is not pushed is silence. Positions never go back."""
        raise NotImplementedError

    def transcribe(self, request_id: int, through: int, kind: TranscriptKind) -> None:
        """Ask for the text up to `through`; the answer is a Transcript event, whatever happens to the worker."""
        raise NotImplementedError

    def hints(self, phrases: Sequence[str]) -> None:
        """Names and words that may be said from now on."""
        raise NotImplementedError

    def events(self) -> AsyncIterator[EarEvent]:
        """Everything heard, in order; one consumer. Raises InvalidRequest, NotFound, InternalError (after retries)."""
        raise NotImplementedError


class SpeechToText:
    """Opens ears. One per process."""

    def __init__(self, workers: Workers) -> None:
        raise NotImplementedError

    def open(
        self, call_id: str, rate: int, language: str = "", hints: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Ear]:
        """A stream that lives as long as the context. `rate` of the audio: 8000 or 16000."""
        raise NotImplementedError
