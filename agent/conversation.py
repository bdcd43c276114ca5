"""What happens between two people on a line: does what the turns decide, and tells them what has come of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from agent import metrics, moves
from agent.answer import Answer
from agent.around import Around
from agent.clients.types import GenerationLost, MindEvent, MindLost, Prefilled, Transcript, Truncated
from agent.consent import agrees, refuses
from agent.dialogue import expecting
from agent.draft import Draft
from agent.hearing import Hearing
from agent.listening.endpoint import required_silence
from agent.listening.lexical import verdict
from agent.marks import Mark
from agent.ownwords import OwnWords, leave
from agent.playout import Cut
from agent.speaker import Kind, Speaker, Utterance
from agent.telephony.leg import EndReason
from agent.turns import Floor, Policy, Turns
from services.errors import ServiceError
from services.telemetry import spoken

log = logging.getLogger(__name__)

_MOST_TRIES = 3
"""Failures of the answer to one question, before the call is given up."""


class Conversation:
    """Owns the turn machine, the speaker and the answer under way."""

    def __init__(self, around: Around, hearing: Callable[[Callable[[moves.Event], None]], Hearing]) -> None:
        """`hearing` makes the caller's side, given where to tell its findings."""
        self._around = around
        self._loop = asyncio.get_running_loop()
        limits = around.definition.limits
        policy = Policy(self._required_silence, prompt_after=limits.silence_seconds, prompts=limits.silence_prompts)
        self.turns = Turns(policy, self._loop.time())
        self.speaker = Speaker(around.leg, self._started, self._ended)
        self.hearing = hearing(self.tell)
        self._answer: Answer | None = None
        self._task: asyncio.Task[None] | None = None
        self._own = OwnWords(around, self.speaker, self.tell)
        self._draft = Draft(around.mind, around.new_id)
        self._failed = False  # the answer under way cannot go on
        self._again: Answer | None = None  # failed before a word of it was heard; tried again after the apology
        self._tries = 0  # of the question under way
        self._leaving = False  # the call ends whatever the caller says
        self._said = around.definition.greeting  # the agent's last words: what the caller answers to
        self._transcribed = 0.0  # when the last transcript came
        self._over_agent_since = 0.0  # the caller's first voiced sample of the speech under way
        self._consent_pending = False  # the caller has been asked and has not answered

    # -- events in ---------------------------------------------------------------------------------------------------

    def tell(self, event: moves.Event) -> None:
        """An event for the turns; what they decide is done at once."""
        if isinstance(event, moves.CallerBargesIn | moves.CallerStarted):
            self._over_agent_since = event.at
        for action in self.turns.handle(event, self._loop.time()):
            self._do(action)

    def heard(self, transcript: Transcript) -> None:
        """An answer of the recogniser."""
        if transcript.superseded:
            return
        self._transcribed = self._loop.time()
        if not transcript.text:
            self._draft.drop()
        self.hearing.words = transcript.words or self.hearing.words
        self.tell(moves.Heard(transcript.request_id, transcript.text))

    def partly_heard(self, stable: str, rest: str) -> None:
        """Words so far; `stable` ones go to the language model at once."""
        listening = self.turns.floor is Floor.LISTENING and self._answer is None and not self._consent_pending
        if listening and stable and self._around.tooling.idle:
            self._draft.grow(stable)
        self.tell(moves.Partial(f"{stable} {rest}".strip()))

    async def follow(self, events: AsyncIterator[MindEvent]) -> None:
        """Hand the language model's events to the answer that they belong to."""
        async for event in events:
            match event:
                case MindLost(detail):
                    self._around.record.event("worker_lost", self._around.elapsed(), worker="llm", detail=detail)
                case Prefilled() | Truncated():
                    pass
                case _:
                    if isinstance(event, GenerationLost):
                        self._around.record.event("worker_lost", self._around.elapsed(), worker="llm", detail="")
                    if self._answer:
                        self._answer.receive(event, event.generation_id)

    def greet(self) -> None:
        """Say what comes first."""
        recording, definition = self._around.definition.recording, self._around.definition
        announcement = recording.announcement if recording.enabled and recording.consent != "none" else ""
        self._consent_pending = recording.enabled and recording.consent == "ask"
        if self._consent_pending:
            self._own.say(Kind.GREETING, announcement)
        else:
            if recording.enabled:
                self._around.recording.start()
            self._own.say(Kind.GREETING, announcement, definition.greeting)

    def time_over(self) -> None:
        """The call has lasted as long as it may."""
        self._drop("abandoned")
        self._leaving = True
        self._own.say(Kind.GOODBYE, self._around.definition.phrases.time_over, then=EndReason.MAX_DURATION)

    def close(self) -> None:
        """The call is over: what was being said is cut and written down."""
        self._drop("interrupted" if self.speaker.current else "abandoned")
        self._own.close()
        if self._task is not None:
            self._task.cancel()

    # -- actions -----------------------------------------------------------------------------------------------------

    def _do(self, action: moves.Action) -> None:
        if self._leaving:
            return
        match action:
            case moves.Listen(position):
                if self.turns.floor is Floor.LISTENING and self._answer and self._answer.confirmed.is_set():
                    self._drop("abandoned")  # another try at an answer; what the caller says now comes first
                self.hearing.listen(position)
            case moves.AskTranscript(request, final):
                self.hearing.ask(request, final)
            case moves.AskTurnModel(request):
                self.hearing.ask_turn_model(request)
            case moves.BeginAnswer(text):
                self._begin(text)
            case moves.RetractAnswer():
                self._retract()
            case moves.ConfirmAnswer(stopped, over):
                self._confirm(stopped, over)
            case moves.PausePlayout():
                self._pause()
            case moves.ResumePlayout():
                metrics.INTERRUPTIONS.labels("resumed").inc()
                self._around.record.event("resumed", self._around.elapsed())
                self.speaker.resume()
            case moves.Interrupt():
                metrics.INTERRUPTIONS.labels("interruption").inc()
                self._around.record.event("interruption", self._around.elapsed())
                self._drop("interrupted")
            case moves.Apologise():
                self._own.say(Kind.APOLOGY, self._around.definition.phrases.apology)
            case moves.PromptSilence():
                self._own.say(Kind.PROMPT, self._around.definition.phrases.silence)
            case moves.GiveUp():
                self._own.say(Kind.GOODBYE, self._around.definition.phrases.goodbye, then=EndReason.AGENT_HUNG_UP)

    def _required_silence(self, text: str, probability: float | None) -> float:
        asked = expecting(self._around.definition, self._said)
        return required_silence(probability, verdict(text, asked), asked)

    def _pause(self) -> None:
        audible = self.speaker.current is not None and self.speaker.current.started is not None
        self.speaker.pause()
        if audible:
            silent = self._loop.time() + self._around.leg.output_delay
            metrics.BARGE_IN_STOP.observe(max(0.0, silent - self._over_agent_since))

    # -- answers -----------------------------------------------------------------------------------------------------

    def _begin(self, text: str, message: int | None = None) -> None:
        around = self._around
        self._failed = False
        self._again = None
        utterance = self.speaker.utterance(Kind.ANSWER)
        self._answer = Answer(
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
        if not self._consent_pending:
            self._task = around.group.create_task(self._run(self._answer))

    async def _run(self, answer: Answer) -> None:
        try:
            await answer.run()
        except* ServiceError as errors:
            reasons = "; ".join(str(error) for error in errors.exceptions)
            log.warning("an answer failed", extra={"why": reasons})
            self._around.record.event("answer_failed", self._around.elapsed(), why=reasons)
            self._failed = True
            if answer is self._answer and answer.confirmed.is_set():
                self._fail()

    def _retract(self) -> None:
        answer, self._answer = self._answer, None
        if self._task is not None:
            self._task.cancel()
        if answer is not None and answer.message is not None:
            self._around.mind.retract(answer.message)

    def _confirm(self, stopped: float, over: float) -> None:
        answer = self._answer
        if answer is None:
            raise RuntimeError("an answer was confirmed that was never begun")
        log.info("turn", extra={"caller": spoken(answer.text)})
        answer.marks[Mark.CALLER_STOPPED] = stopped
        answer.marks[Mark.END_OF_TURN] = over
        answer.marks[Mark.TRANSCRIPT_FINAL] = self._transcribed
        answer.words = self.hearing.words
        if self._consent_pending:
            self._consent(answer)
            return
        if refuses(answer.text, self._around.definition.recording.opt_out_phrases):
            self._around.recording.refuse()
        self._tries = 0
        answer.confirm()
        self.speaker.play(answer.utterance)
        if self._failed:
            self._fail()

    def _consent(self, answer: Answer) -> None:
        self._consent_pending = False
        self._answer = None
        if agrees(answer.text):
            self._around.recording.start()
        self._around.turn_log.write("consent", caller=answer.text, words=answer.words)
        self._own.say(Kind.GREETING, self._around.definition.greeting)

    def _fail(self) -> None:
        """The answer cannot go on: say so, with sound that is there already. One of which nothing was heard is tried
        again after the apology, and then without another."""
        answer, phrases = self._answer, self._around.definition.phrases
        silent = answer is not None and answer.utterance.started is None
        self._drop("failed")
        self._tries += 1
        if self._tries > _MOST_TRIES:
            self._own.say(Kind.GOODBYE, phrases.failure, then=EndReason.FAILED)
            return
        self._again = answer if silent else None
        if self._tries == 1 or not silent:
            self._own.say(Kind.APOLOGY, phrases.apology)
        else:
            self._try_again()

    def _try_again(self) -> None:
        failed, self._again = self._again, None
        if failed is None or self.turns.caller_speaking:
            return
        self._begin(failed.text, failed.message)
        if self._answer is not None:
            self._answer.repeat()
            self.speaker.play(self._answer.utterance)

    def _drop(self, outcome: str) -> None:
        """End what is being said, or about to be; the history keeps what was heard."""
        utterance = self.speaker.current
        cuts = self.speaker.stop()
        if self._answer is not None and (utterance is None or utterance is self._answer.utterance):
            if not self._answer.confirmed.is_set():
                self._retract()
            else:
                self._close(outcome, cuts)
        elif utterance is not None:
            self._said = self._own.write(utterance, outcome, cuts)

    def _close(self, outcome: str, cuts: list[Cut] | None) -> None:
        """The answer is over; `cuts` says how far it got, None: to its end."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if self._task is not None and cuts is not None:
            self._task.cancel()
        sent = {cut.source: cut.sent for cut in cuts or ()}
        heard = {cut.source: cut.heard for cut in cuts or ()}
        texts: tuple[list[str], list[str]] = ([], [])
        for generation in answer.generations:
            full = len(generation.text)
            keep = full if cuts is None else heard.get(generation.id, 0)
            texts[0].append(generation.text[: full if cuts is None else sent.get(generation.id, 0)])
            texts[1].append(generation.text[:keep])
            if generation.running or keep < full:
                self._around.mind.truncate(generation.id, keep)
        if answer.utterance.audible is not None:
            answer.marks[Mark.AGENT_STARTED] = answer.utterance.audible
        self._said = texts[1][-1] if texts[1] else ""
        metrics.STARVED.inc(answer.utterance.playout.starved_frames)
        self._around.turn_log.write(
            outcome,
            caller=answer.text,
            sent=joined(texts[0]),
            heard=joined(texts[1]),
            marks=answer.marks,
            words=answer.words,
        )

    # -- what the speaker reports ------------------------------------------------------------------------------------

    def _started(self, utterance: Utterance) -> None:
        self.tell(moves.AgentStarted())

    def _ended(self, utterance: Utterance) -> None:
        answer = self._answer
        if answer is not None and utterance is answer.utterance:
            hang_up = answer.hang_up
            self._close("answered", None)
            if hang_up:
                leave(self._around, EndReason.AGENT_HUNG_UP)
        elif utterance.kind is not Kind.ANSWER:
            self._said = self._own.write(utterance, utterance.kind.value, [])
            self._own.ended(utterance)
        self.tell(moves.AgentEnded())
        if utterance.kind is Kind.APOLOGY:
            self._try_again()


def joined(texts: list[str]) -> str:
    """The texts of an answer's generations as one."""
    return " ".join(stripped for text in texts if (stripped := text.strip()))
