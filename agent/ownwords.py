"""What the agent says without its language model: greetings, prompts, apologies, goodbyes."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from agent import moves
from agent.around import Around
from agent.playout import OWN_TEXT, Cut, Speech
from agent.speaker import Kind, Speaker, Utterance
from agent.telephony.leg import EndReason
from services.errors import ServiceError

log = logging.getLogger(__name__)

_LAST_WORDS = 0.4
"""Seconds of silence between the last word and the end of the call."""


class OwnWords:
    """Says fixed texts through the call's speaker, and writes down what of them was heard."""

    def __init__(
        self,
        around: Around,
        speaker: Speaker,
        tell: Callable[[moves.Event], None],
        note: Callable[[str], None],
    ) -> None:
        """`tell` is for the turns, `note` for the language model."""
        self._around = around
        self._speaker = speaker
        self._tell = tell
        self._note = note
        self._making: asyncio.Task[None] | None = None
        self._then: tuple[Utterance, EndReason] | None = None  # how the call ends, after what

    def say(self, kind: Kind, *texts: str, then: EndReason | None = None) -> None:
        """Say fixed texts: at once when their sound is there, else as soon as it can be made."""
        if self._making is not None:
            self._making.cancel()
        wanted = [text for text in texts if text]
        if not wanted:
            if then is not None:
                self._around.hang_up(then)
            self._tell(moves.AgentEnded())
            return
        found = [self._around.ready_made.ready(self._around.definition, t, self._around.leg.rate) for t in wanted]
        if all(found):
            self._play(kind, wanted, [part for part in found if part], then)
        else:
            self._making = self._around.group.create_task(self._make(kind, wanted, then))

    async def _make(self, kind: Kind, texts: list[str], then: EndReason | None) -> None:
        around = self._around
        try:
            parts = [await around.ready_made.speech(around.definition, text, around.leg.rate) for text in texts]
        except ServiceError as error:
            log.warning("nothing to say it with", extra={"kind": kind, "why": str(error)})
            if then is not None:
                around.hang_up(then)
            self._tell(moves.AgentEnded())
            return
        self._play(kind, texts, parts, then)

    def _play(self, kind: Kind, texts: list[str], sound: list[tuple[Speech, ...]], then: EndReason | None) -> None:
        utterance = self._speaker.utterance(kind)
        offset = 0
        for text, pieces in zip(texts, sound, strict=True):
            for speech in pieces:
                utterance.playout.push(replace(speech, start=speech.start + offset, end=speech.end + offset))
            offset += len(text) + 1
        utterance.playout.finished = True
        utterance.texts[OWN_TEXT] = " ".join(texts)
        if then is not None:
            self._then = (utterance, then)
        self._speaker.play(utterance)

    def write(self, utterance: Utterance, outcome: str, cuts: list[Cut]) -> str:
        """It is over, said to the end or cut: write it down and return what was heard of it."""
        text = utterance.texts[OWN_TEXT]
        heard = text[: cuts[0].heard] if outcome == "interrupted" and cuts else text
        if utterance.kind is not Kind.GREETING:  # the greeting opens the history
            self._note(f'You said to the caller: "{heard}"')
        elif heard != text:
            self._note(f'Of the greeting the caller heard only: "{heard}"')
        self._around.turn_log.write(
            outcome if outcome == "interrupted" else utterance.kind.value, sent=text, heard=heard
        )
        return heard

    def ended(self, utterance: Utterance) -> None:
        """It was said to the end: the call may end with it."""
        if self._then is not None and self._then[0] is utterance:
            leave(self._around, self._then[1])

    def close(self) -> None:
        """The call is over."""
        if self._making is not None:
            self._making.cancel()


def leave(around: Around, reason: EndReason) -> None:
    """Hang up once the last words have left the leg and reached the caller's ear."""
    rest = around.leg.buffered() / around.leg.rate + around.leg.output_delay
    asyncio.get_running_loop().call_later(rest + _LAST_WORDS, around.hang_up, reason)
