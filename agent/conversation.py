"""What happens between two people on a line: does what the turns decide, and tells them what has come of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from agent import metrics, moves
from agent.answer import Answer
from agent.answering import MOST_TRIES, Answering
from agent.around import Around
from agent.clients.types import GenerationLost, MindEvent, MindLost, Prefilled, ToolCallAsked, Transcript, Truncated
from agent.consent import agrees, refuses
from agent.dialogue import expecting
from agent.hearing import Hearing
from agent.listening.endpoint import required_silence
from agent.listening.lexical import verdict
from agent.marks import Mark
from agent.ownwords import OwnWords, leave
from agent.speaker import Kind, Speaker, Utterance
from agent.telephony.leg import EndReason
from agent.turns import Floor, Policy, Turns
from services.telemetry import spoken

log = logging.getLogger(__name__)


class Conversation:
    """Owns the turn machine, the speaker, and who says what with it."""

    def __init__(self, around: Around, hearing: Callable[[Callable[[moves.Event], None]], Hearing]) -> None:
        """`hearing` makes the caller's side, given where to tell its findings."""
        self._around = around
        self._loop = asyncio.get_running_loop()
        limits = around.definition.limits
        policy = Policy(self._required_silence, prompt_after=limits.silence_seconds, prompts=limits.silence_prompts)
        self.turns = Turns(policy, self._loop.time())
        self.speaker = Speaker(around.leg, self._started, self._ended)
        self.hearing = hearing(self.tell)
        self._answering = Answering(around, self.speaker, self._failed)
        self._own = OwnWords(around, self.speaker, self.tell, self._answering.note)
        self._said = around.definition.greeting  # the agent's last words: what the caller answers to
        self._transcribed = 0.0  # when the last transcript came
        self._over_agent_since = 0.0  # the caller's first voiced sample of the speech under way
        self._question = ""  # what the caller said last
        self._consent_asked = False  # the caller was asked and has not answered
        self._leaving = False  # the call ends whatever the caller says

    # -- events in ---------------------------------------------------------------------------------------------------

    def tell(self, event: moves.Event) -> None:
        """An event for the turns; what they decide is done at once."""
        if isinstance(event, moves.CallerBargesIn | moves.CallerStarted):
            self._over_agent_since = event.at
        for action in self.turns.handle(event, self._loop.time()):
            if not self._leaving:
                self._do(action)

    def heard(self, transcript: Transcript) -> None:
        """An answer of the recogniser."""
        if transcript.superseded:
            return
        self._transcribed = self._loop.time()
        if not transcript.text:
            self._answering.nothing_heard()
        self.hearing.words = transcript.words or self.hearing.words
        self.tell(moves.Heard(transcript.request_id, transcript.text))

    def partly_heard(self, stable: str, rest: str) -> None:
        """Words so far; `stable` ones will not change."""
        if self.turns.floor is Floor.LISTENING and not self._consent_asked:
            self._answering.partly_heard(stable)
        self.tell(moves.Partial(f"{stable} {rest}".strip()))

    async def follow(self, events: AsyncIterator[MindEvent]) -> None:
        """Hand the language model's events to the answer that they belong to."""
        async for event in events:
            if isinstance(event, MindLost | GenerationLost):
                self._around.record.event("worker_lost", self._around.elapsed(), worker="llm")
            if isinstance(event, MindLost | Prefilled | Truncated):
                continue
            answer = self._answering.current
            taken = answer is not None and answer.receive(event, event.generation_id)
            if isinstance(event, ToolCallAsked) and not taken:
                self._around.tooling.refuse(event.call)  # asked just before its answer was cut

    def greet(self) -> None:
        """Say what comes first."""
        definition = self._around.definition
        recording = definition.recording
        announcement = recording.announcement if recording.enabled and recording.consent != "none" else ""
        self._consent_asked = recording.enabled and recording.consent == "ask"
        if self._consent_asked:
            self._own.say(Kind.GREETING, announcement)
            return
        if recording.enabled:
            self._around.recording.start()
        self._own.say(Kind.GREETING, announcement, definition.greeting)

    def time_over(self) -> None:
        """The call has lasted as long as it may."""
        self._silence("abandoned")
        self._leaving = True
        self._own.say(Kind.GOODBYE, self._around.definition.phrases.time_over, then=EndReason.MAX_DURATION)

    def close(self) -> None:
        """The call is over: what was being said is cut and written down."""
        self._silence("interrupted" if self.speaker.current else "abandoned")
        self._leaving = True
        self._own.close()
        self._answering.close()

    # -- actions -----------------------------------------------------------------------------------------------------

    def _do(self, action: moves.Action) -> None:
        phrases = self._around.definition.phrases
        match action:
            case moves.Listen(position):
                self._listen(position)
            case moves.AskTranscript(request, final):
                self.hearing.ask(request, final)
            case moves.AskTurnModel(request):
                self.hearing.ask_turn_model(request)
            case moves.BeginAnswer(text):
                if not self._consent_asked:
                    self._answering.begin(text)
                self._question = text
            case moves.RetractAnswer():
                self._answering.retract()
            case moves.ConfirmAnswer(stopped, over):
                self._confirm(stopped, over)
            case moves.PausePlayout():
                self._pause()
            case moves.ResumePlayout():
                self._judged("resumed")
                self.speaker.resume()
            case moves.Interrupt():
                self._judged("interruption")
                self._silence("interrupted")
            case moves.Apologise():
                self._own.say(Kind.APOLOGY, phrases.apology)
            case moves.PromptSilence():
                self._own.say(Kind.PROMPT, phrases.silence)
            case moves.GiveUp():
                self._own.say(Kind.GOODBYE, phrases.goodbye, then=EndReason.AGENT_HUNG_UP)

    def _required_silence(self, text: str, probability: float | None, hesitant: bool) -> float:
        asked = expecting(self._around.definition, self._said)
        confidence = self.hearing.words[-1].confidence if self.hearing.words else 1.0
        return required_silence(probability, verdict(text, asked, confidence), asked, hesitant)

    def _listen(self, position: int) -> None:
        answer = self._answering.current
        if self.turns.floor is Floor.LISTENING and answer is not None and answer.confirmed.is_set():
            self._silence("abandoned")  # another try at an answer: what the caller says now comes first
        self.hearing.listen(position)

    def _confirm(self, stopped: float, over: float) -> None:
        if self._consent_asked:
            self._consent()
            return
        answer = self._answering.current
        if answer is None:
            raise RuntimeError("an answer was confirmed that was never begun")
        self._note_turn(answer, stopped, over)
        phrases = self._around.definition.recording.opt_out_phrases
        if refuses(answer.text, phrases) and self._around.recording.refuse():
            self._around.record.event("recording", self._around.elapsed(), allowed=False, by="words")
        self._answering.confirm(answer)

    def _note_turn(self, answer: Answer, stopped: float, over: float) -> None:
        log.info("turn", extra={"caller": spoken(answer.text)})
        answer.marks[Mark.CALLER_STOPPED] = stopped
        answer.marks[Mark.END_OF_TURN] = over
        answer.marks[Mark.TRANSCRIPT_FINAL] = self._transcribed
        answer.words = self.hearing.words

    def _consent(self) -> None:
        """The caller has answered whether the call may be recorded; now comes the greeting."""
        self._consent_asked = False
        allowed = agrees(self._question)
        if allowed:
            self._around.recording.start()
        self._around.record.event("recording", self._around.elapsed(), allowed=allowed, by="answer")
        self._around.turn_log.write("consent", caller=self._question, words=self.hearing.words)
        self._own.say(Kind.GREETING, self._around.definition.greeting)

    def _pause(self) -> None:
        audible = self.speaker.current is not None and self.speaker.current.started is not None
        self.speaker.pause()
        if audible:
            silent = self._loop.time() + self._around.leg.output_delay
            metrics.BARGE_IN_STOP.observe(max(0.0, silent - self._over_agent_since))

    def _judged(self, verdict: str) -> None:
        """What speech over the agent turned out to be."""
        metrics.INTERRUPTIONS.labels(verdict).inc()
        self._around.record.event(verdict, self._around.elapsed())

    def _silence(self, outcome: str) -> None:
        """End what is being said, or about to be; the history keeps what was heard."""
        utterance = self.speaker.current
        cuts = self.speaker.stop()
        if utterance is None or self._answering.owns(utterance):
            self._said = self._answering.stop(outcome, cuts) or self._said
        else:
            self._said = self._own.write(utterance, outcome, cuts)

    def _failed(self, silent: bool) -> None:
        """The answer cannot go on: say so, with sound that is there already. One of which nothing was heard is tried
        again after the apology, and then without another."""
        phrases = self._around.definition.phrases
        if self._answering.tries >= MOST_TRIES:
            self._leaving = True
            self._own.say(Kind.GOODBYE, phrases.failure, then=EndReason.FAILED)
        elif self._answering.tries == 1 or not silent:
            self._own.say(Kind.APOLOGY, phrases.apology)
        else:
            self._try_again()

    def _try_again(self) -> None:
        if not self.turns.caller_speaking:
            self._answering.repeat()

    # -- what the speaker reports ------------------------------------------------------------------------------------

    def _started(self, utterance: Utterance) -> None:
        if self._answering.current is not None and self._answering.owns(utterance):
            self._answering.current.commit()
        self.tell(moves.AgentStarted())

    def _ended(self, utterance: Utterance) -> None:
        answer = self._answering.current
        if answer is not None and self._answering.owns(utterance):
            self._said = self._answering.finish()
            if answer.hang_up:
                leave(self._around, EndReason.AGENT_HUNG_UP)
        elif utterance.kind is not Kind.ANSWER:
            self._said = self._own.write(utterance, utterance.kind.value, [])
            self._own.ended(utterance)
        self.tell(moves.AgentEnded())
        if utterance.kind is Kind.APOLOGY:
            self._try_again()
