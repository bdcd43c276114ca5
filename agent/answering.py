"""The answer under way: begun on speculation, taken back, confirmed, cut, or tried again; at most one at a time."""

import asyncio
import logging
from collections.abc import Callable

from agent import metrics
from agent.answer import Answer
from agent.around import Around
from agent.draft import Draft
from agent.marks import Mark
from agent.playout import Cut
from agent.speaker import Kind, Speaker, Utterance
from services.errors import ServiceError

log = logging.getLogger(__name__)

MOST_TRIES = 3
"""Failures of the answer to one question, before the call is given up."""


class Answering:
    """Owns the answer, its task, and the question as it stands so far."""

    def __init__(self, around: Around, speaker: Speaker, failed: Callable[[bool], None]) -> None:
        """`failed` is told that the confirmed answer cannot go on, and whether nothing of it was heard."""
        self._around = around
        self._speaker = speaker
        self._on_failure = failed
        self._draft = Draft(around.mind, around.new_id)
        self._task: asyncio.Task[None] | None = None
        self._broken = False  # the answer under way cannot go on
        self._unanswered = ""  # what the caller said before going on, and was not answered
        self._to_repeat: Answer | None = None
        self.current: Answer | None = None
        self.tries = 0
        """How often the answer to the question under way has failed."""

    # -- the question ------------------------------------------------------------------------------------------------

    def partly_heard(self, stable: str) -> None:
        """Words that will not change, of what the caller is saying: the language model may have them."""
        if self.current is None and stable and self._around.tooling.idle:
            self._draft.grow(self._whole(stable))

    def nothing_heard(self) -> None:
        """It was a noise."""
        self._draft.drop()

    def note(self, text: str) -> None:
        """Something the model should know before the caller's next words."""
        self._draft.note(text)

    def _whole(self, text: str) -> str:
        return f"{self._unanswered} {text}".strip()

    # -- the answer --------------------------------------------------------------------------------------------------

    def begin(self, text: str) -> Answer:
        """Work out an answer, silently."""
        return self._start(self._whole(text), None)

    def retract(self) -> None:
        """The caller goes on: forget answer and question; the question comes again, longer."""
        answer, self.current = self.current, None
        if self._task is not None:
            self._task.cancel()
        if answer is not None and answer.message is not None:
            self._around.mind.retract(answer.message)

    def confirm(self, answer: Answer) -> None:
        """The turn is over: let the answer be heard."""
        self.tries = 0
        self._unanswered = ""
        answer.confirmed.set()
        self._speaker.play(answer.utterance)
        if self._broken:
            self._fail(answer)

    def repeat(self) -> bool:
        """Try the answer that failed unheard once more. False: there is none."""
        failed, self._to_repeat = self._to_repeat, None
        if failed is None:
            return False
        answer = self._start(failed.text, failed.message)
        answer.confirmed.set()
        self._speaker.play(answer.utterance)
        return True

    def stop(self, outcome: str, cuts: list[Cut]) -> str:
        """End the answer where it is. Returns what was heard of it.

        When nothing was, and nothing was done that cannot be undone, the question is taken back, too: what the
        caller says next belongs to it.
        """
        answer = self.current
        if answer is None:
            return ""
        if self._task is not None:
            self._task.cancel()
        if not answer.confirmed.is_set():
            self.retract()
            return ""
        if outcome != "failed" and answer.utterance.started is None and not answer.committed:
            self._unanswered = answer.text
            self.retract()
            metrics.TURNS.labels("continued").inc()
            self._around.record.event("continued", self._around.elapsed())
            return ""
        return self._close(outcome, cuts)

    def finish(self) -> str:
        """All of it was said. Returns what was heard."""
        return self._close("answered", None)

    def close(self) -> None:
        """The call is over."""
        if self._task is not None:
            self._task.cancel()

    def owns(self, utterance: Utterance | None) -> bool:
        """Whether it is this answer's."""
        return self.current is not None and utterance is self.current.utterance

    # -- inside ------------------------------------------------------------------------------------------------------

    def _start(self, text: str, message: int | None) -> Answer:
        around = self._around
        self._broken, self._to_repeat = False, None
        utterance = self._speaker.utterance(Kind.ANSWER)
        self.current = Answer(
            around.definition,
            around.mind,
            around.tts,
            around.tooling,
            utterance,
            self._draft,
            around.new_id,
            text,
            message,
        )
        self._task = around.group.create_task(self._run(self.current))
        return self.current

    async def _run(self, answer: Answer) -> None:
        try:
            await answer.run()
        except* ServiceError as errors:
            reasons = "; ".join(str(error) for error in errors.exceptions)
            log.warning("an answer failed", extra={"why": reasons})
            self._around.record.event("answer_failed", self._around.elapsed(), why=reasons)
            if answer is self.current:
                self._broken = True
                if answer.confirmed.is_set():
                    self._fail(answer)

    def _fail(self, answer: Answer) -> None:
        silent = answer.utterance.started is None
        self.tries += 1
        self.stop("failed", self._speaker.stop())
        self._to_repeat = answer if silent else None
        self._on_failure(silent)

    def _close(self, outcome: str, cuts: list[Cut] | None) -> str:
        """Write the turn down; `cuts` says how far the answer got, None: to its end."""
        answer, self.current = self.current, None
        if answer is None:
            return ""
        sent = {cut.source: cut.sent for cut in cuts or ()}
        heard = {cut.source: cut.heard for cut in cuts or ()}
        said, ear = [], []
        for generation in answer.generations:
            full = len(generation.text)
            keep = full if cuts is None else heard.get(generation.id, 0)
            said.append(generation.text[: full if cuts is None else sent.get(generation.id, 0)])
            ear.append(generation.text[:keep])
            if generation.running or keep < full:
                self._around.mind.truncate(generation.id, keep)
        if answer.utterance.audible is not None:
            answer.marks[Mark.AGENT_STARTED] = answer.utterance.audible
        metrics.STARVED.inc(answer.utterance.playout.starved_frames)
        self._around.turn_log.write(
            outcome, caller=answer.text, sent=joined(said), heard=joined(ear), marks=answer.marks, words=answer.words
        )
        return joined(ear)


def joined(texts: list[str]) -> str:
    """The texts of an answer's generations as one."""
    return " ".join(stripped for text in texts if (stripped := text.strip()))
