"""The caller's side of one call: sound into the recogniser when it matters, its answers and the turn model's back.

The recogniser is sent only what the turns ask to listen to, with a little from before; what the caller says over the
agent and turns out to be nothing is never recognised.
"""

import asyncio
from collections.abc import Callable

from agent.audio import Samples
from agent.clients import Ear as Recogniser
from agent.clients.types import TranscriptKind, Word
from agent.listening.pool import KEEP_SECONDS, Ear
from agent.listening.turn_model import TurnModel
from agent.moves import Likelihood
from services.errors import ServiceError

PRE_ROLL = 0.3
"""Seconds before the first voiced sample that are recognised, too: a soft first consonant is no voice yet."""


class Hearing:
    """Owned by the call; `group` carries the questions to the turn model."""

    def __init__(
        self,
        ear: Ear,
        recogniser: Recogniser,
        turn_model: TurnModel,
        group: asyncio.TaskGroup,
        tell: Callable[[Likelihood], None],
    ) -> None:
        self._ear = ear
        self._recogniser = recogniser
        self._turn_model = turn_model
        self._group = group
        self._tell = tell
        self._sent_to = 0
        self._open = False
        self.words: tuple[Word, ...] = ()
        """Of the last transcript."""

    def frames(self, samples: Samples) -> None:
        """What the line brought in this tick; the ear has been given it already."""
        if self._open:
            self._send(samples)

    def listen(self, position: int) -> None:
        """Recognise from `position` on (or from what is still kept)."""
        if self._open:
            return
        self._open = True
        rate, end = self._ear.rate, self._ear.position
        oldest = max(0, end - KEEP_SECONDS * rate)
        first = max(self._sent_to, oldest, position - round(PRE_ROLL * rate))
        self._sent_to = first
        if first < end:
            self._send(self._ear.recent((end - first) / rate))

    def ask(self, request: int, final: bool) -> None:
        """Ask for the text of what was sent; nothing more is sent until `listen`."""
        self._open = False
        kind = TranscriptKind.FINAL if final else TranscriptKind.SPECULATIVE
        self._recogniser.transcribe(request, self._sent_to, kind)

    def ask_turn_model(self, request: int) -> None:
        """Ask whether the last seconds sound finished; `tell` gets the answer."""
        self._group.create_task(self._judge(request, self._ear.recent()))

    async def _judge(self, request: int, sound: Samples) -> None:
        try:
            probability = await self._turn_model.complete(sound, self._ear.rate)
        except ServiceError:  # too many ask at once: words and silence decide alone
            return
        self._tell(Likelihood(request, probability))

    def _send(self, samples: Samples) -> None:
        self._recogniser.audio(self._sent_to, samples)
        self._sent_to += len(samples)
