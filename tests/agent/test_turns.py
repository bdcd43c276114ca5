"""The turn machine alone: events and times in, actions out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.moves import (
    Action,
    AgentEnded,
    AgentStarted,
    Apologise,
    AskTranscript,
    AskTurnModel,
    BeginAnswer,
    CallerBargesIn,
    CallerStarted,
    CallerStopped,
    ConfirmAnswer,
    Event,
    GiveUp,
    Heard,
    Interrupt,
    Likelihood,
    Listen,
    Partial,
    PausePlayout,
    PromptSilence,
    ResumePlayout,
    RetractAnswer,
    TakenBack,
    Tick,
)
from agent.turns import Floor, Policy, Turns


def required(text: str, probability: float | None, hesitant: bool) -> float:
    """Finished sentences end soon, once the turn model agrees, and later with somebody who hesitates."""
    return (0.8 if hesitant else 0.3) if text.endswith(".") and probability is not None else 1.0


class Told:
    """A machine, and everything it asked for."""

    def __init__(self) -> None:
        self.turns = Turns(Policy(required), now=0.0)
        self.actions: list[Action] = []

    def __call__(self, event: Event, now: float) -> list[Action]:
        actions = self.turns.handle(event, now)
        self.actions += actions
        return actions

    def question(self, start: float, stop: float) -> int:
        """The caller says something; returns the request for its text."""
        self(CallerStarted(start, 0), start + 0.1)
        actions = self(CallerStopped(stop, 0), stop + 0.1)
        return next(a.request for a in actions if isinstance(a, AskTranscript))

    def answering(self) -> None:
        """The caller has asked, and the agent speaks from 2.4 on."""
        request = self.question(1.0, 2.0)
        self(Likelihood(request, 0.9), 2.15)
        self(Heard(request, "When are you open."), 2.2)
        self(Tick(), 2.35)
        self(AgentStarted(), 2.4)
        assert self.turns.floor is Floor.SPEAKING
        self.actions.clear()


def test_the_turn_model_is_not_asked_where_the_words_leave_it_no_say() -> None:
    told = Told()
    told.question(1.0, 2.0)
    told(Heard(1, "I would like to"), 2.15)
    assert AskTurnModel(1) not in [*told(Tick(), 2.2), *told(Tick(), 2.6)]
    assert ConfirmAnswer(2.0, over=3.0) in told(Tick(), 3.0)


def test_the_turn_model_is_asked_while_there_are_no_words() -> None:
    told = Told()
    told.question(1.0, 2.0)
    assert told(Tick(), 2.2) == [AskTurnModel(1)]
    told(Heard(1, "I would like to"), 2.3)
    assert told(Likelihood(1, 0.9), 2.4) == []
    assert ConfirmAnswer(2.0, over=3.0) in told(Tick(), 3.0)


def test_a_turn_is_answered_on_speculation_and_confirmed_in_time() -> None:
    told = Told()
    assert told(CallerStarted(1.0, 8000), 1.1) == [Listen(8000)]
    assert told(CallerStopped(2.0, 16000), 2.1) == [AskTranscript(1, final=False)]
    assert told(Tick(), 2.15) == [], "a pause between words is not worth the turn model"
    assert told(Tick(), 2.19) == [AskTurnModel(1)]
    assert told(Tick(), 2.19) == []
    assert told(Heard(1, "When are you open."), 2.2) == [BeginAnswer("When are you open.")]
    assert told(Tick(), 2.35) == [], "the turn model has not answered"
    assert told(Likelihood(1, 0.9), 2.4) == [AskTranscript(2, final=True), ConfirmAnswer(2.0, over=2.4)]
    assert told.turns.floor is Floor.THINKING


def test_a_caller_who_goes_on_takes_the_speculation_back() -> None:
    told = Told()
    request = told.question(1.0, 2.0)
    told(Heard(request, "I would like"), 2.2)
    assert told(CallerStarted(2.5, 0), 2.6) == [RetractAnswer(), Listen(0)]
    assert told(Likelihood(request, 0.9), 2.7) == [], "the question is out of date"
    assert told(Heard(request, "I would like."), 2.7) == []


@pytest.mark.parametrize(("pause", "needed"), [(0.2, 0.3), (0.5, 0.8)])
def test_who_hesitates_is_given_more_time(pause: float, needed: float) -> None:
    told = Told()
    request = told.question(1.0, 2.0)
    told(Heard(request, "I would like"), 2.15)
    request = told.question(2.0 + pause, 4.0)
    told(Likelihood(request, 0.9), 4.15)
    told(Heard(request, "I would like a table."), 4.2)
    assert told(Tick(), 4.0 + needed - 0.05) == []
    assert isinstance(told(Tick(), 4.0 + needed + 0.01)[-1], ConfirmAnswer)


def test_the_end_of_a_word_may_come_a_little_later() -> None:
    told = Told()
    request = told.question(1.0, 2.0)
    assert told(CallerStopped(2.15, 17200), 2.2) == []
    told(Likelihood(request, 0.9), 2.25)
    assert told(Heard(request, "What does it cost."), 2.3)[0] == BeginAnswer("What does it cost.")
    assert not any(isinstance(action, ConfirmAnswer) for action in told(Tick(), 2.4))
    confirmed = told(Tick(), 2.46)[-1]
    assert isinstance(confirmed, ConfirmAnswer)
    assert confirmed.stopped == 2.15


def test_a_noise_is_no_turn() -> None:
    told = Told()
    request = told.question(1.0, 1.2)
    assert told(Heard(request, ""), 1.4) == [AskTranscript(2, final=True)]
    assert told(Tick(), 5.0) == []
    assert told.turns.floor is Floor.LISTENING


def test_a_late_recogniser_is_apologised_for_once_and_its_text_still_counts() -> None:
    told = Told()
    request = told.question(1.0, 2.0)
    assert Apologise() not in told(Tick(), 3.1)
    assert told(Tick(), 3.21) == [Apologise()]
    assert told(Tick(), 3.5) == []
    told(AgentStarted(), 3.5)
    assert told(Heard(request, "When are you open."), 4.0) == [BeginAnswer("When are you open.")]
    told(AgentEnded(), 5.0)
    assert ConfirmAnswer(2.0, over=3.0) in told(Tick(), 5.02)


def test_speech_over_the_agent_pauses_and_words_interrupt() -> None:
    told = Told()
    told.answering()
    assert told(CallerStarted(4.0, 0), 4.1) == [], "not before it is clear that this is meant for the agent"
    assert told(CallerBargesIn(4.0, 32000), 4.3) == [PausePlayout(), Listen(32000)]
    assert told(Partial("mm-hm"), 4.5) == []
    assert told(Partial("no wait"), 4.6) == [Interrupt()]
    assert told.turns.floor is Floor.LISTENING
    request = next(a.request for a in told(CallerStopped(5.0, 0), 5.1) if isinstance(a, AskTranscript))
    assert BeginAnswer("No wait, Tuesday.") in told(Heard(request, "No wait, Tuesday."), 5.2)


def test_long_speech_over_the_agent_interrupts_without_words() -> None:
    told = Told()
    told.answering()
    told(CallerBargesIn(4.0, 0), 4.3)
    assert told(Tick(), 4.7) == []
    assert told(Tick(), 4.81) == [Interrupt()]


@pytest.mark.parametrize("text", ["", "mm-hm", "Yeah.", "okay, right"])
def test_backchannels_and_noises_resume(text: str) -> None:
    told = Told()
    told.answering()
    told(CallerBargesIn(4.0, 0), 4.3)
    request = next(a.request for a in told(CallerStopped(4.4, 0), 4.5) if isinstance(a, AskTranscript))
    assert told(Heard(request, text), 4.6)[0] == ResumePlayout()
    assert told.turns.floor is Floor.SPEAKING


def test_short_words_over_the_agent_interrupt_and_are_answered() -> None:
    told = Told()
    told.answering()
    told(CallerBargesIn(4.0, 0), 4.3)
    request = next(a.request for a in told(CallerStopped(4.5, 0), 4.6) if isinstance(a, AskTranscript))
    assert told(Heard(request, "Stop."), 4.7) == [Interrupt(), BeginAnswer("Stop."), AskTurnModel(request)]
    assert ConfirmAnswer(4.5, over=4.9) in told(Likelihood(request, 0.9), 4.9)


def test_without_a_verdict_the_agent_goes_on() -> None:
    told = Told()
    told.answering()
    told(CallerBargesIn(4.0, 0), 4.3)
    told(CallerStopped(4.4, 0), 4.5)
    assert told(Tick(), 5.5) == []
    assert told(Tick(), 5.61)[0] == ResumePlayout()


def test_speech_before_the_first_word_of_an_answer_holds_it_back() -> None:
    told = Told()
    request = told.question(1.0, 2.0)
    told(Likelihood(request, 0.9), 2.2)
    told(Heard(request, "When are you open."), 2.35)
    assert told.turns.floor is Floor.THINKING
    assert told(CallerStarted(2.6, 0), 2.7) == [PausePlayout(), Listen(0)]
    assert told.turns.floor is Floor.PAUSED


def test_an_answer_over_the_agents_last_word_is_heard() -> None:
    told = Told()
    told.answering()
    told(CallerStarted(5.0, 40000), 5.1)
    assert told(CallerStopped(5.3, 42400), 5.4) == []
    actions = told(AgentEnded(), 5.6)
    assert actions[0] == Listen(40000)
    assert isinstance(actions[1], AskTranscript)


def test_an_old_overlap_is_forgotten() -> None:
    told = Told()
    told.answering()
    told(CallerStarted(5.0, 40000), 5.1)
    told(CallerStopped(5.3, 42400), 5.4)
    assert told(AgentEnded(), 6.5) == []


def test_who_still_speaks_when_the_agent_ends_is_listened_to_from_the_start() -> None:
    told = Told()
    told.answering()
    told(CallerStarted(5.0, 40000), 5.1)
    assert told(AgentEnded(), 5.2) == [Listen(40000)]


def test_silence_is_prompted_and_then_given_up() -> None:
    told = Told()
    assert told(Tick(), 8.0) == [PromptSilence(1)]
    told(AgentStarted(), 8.0)
    assert told(Tick(), 17.0) == [], "while the agent speaks nobody is silent"
    told(AgentEnded(), 17.0)
    assert told(Tick(), 25.0) == [PromptSilence(2)]
    assert told(Tick(), 33.0) == [GiveUp()]


def test_a_word_starts_the_prompts_anew() -> None:
    told = Told()
    told(Tick(), 8.0)
    told.question(9.0, 9.5)
    told(Heard(1, ""), 9.7)
    assert told(Tick(), 17.5) == [PromptSilence(1)]


def test_time_on_hold_is_no_silence() -> None:
    told = Told()
    told(TakenBack(), 100.0)
    assert told(Tick(), 107.9) == []


def test_a_voice_that_never_stops_is_answered_in_the_end() -> None:
    told = Told()
    told(CallerStarted(1.0, 0), 1.1)
    assert isinstance(told(Tick(), 31.0)[0], AskTranscript)


MOMENTS = st.floats(0.01, 2.0)
STEPS = st.tuples(
    st.sampled_from(
        ["started", "stopped", "barge", "partial", "heard", "empty", "likely", "agent", "ended", "tick", "tick", "tick"]
    ),
    MOMENTS,
)


@given(st.lists(STEPS, max_size=80))
def test_whatever_happens_actions_fit_together(steps: list[tuple[str, float]]) -> None:
    """An answer is confirmed or taken back only if one was begun; playout goes on only if it was paused."""
    told = Told()
    now, request, begun, paused = 0.0, 0, False, False
    for step, seconds in steps:
        now += seconds
        events: dict[str, Event] = {
            "started": CallerStarted(now - 0.1, 0),
            "stopped": CallerStopped(now - 0.1, 0),
            "barge": CallerBargesIn(now - 0.3, 0),
            "partial": Partial("no wait"),
            "heard": Heard(request, "Yes please."),
            "empty": Heard(request, ""),
            "likely": Likelihood(request, 0.9),
            "agent": AgentStarted(),
            "ended": AgentEnded(),
            "tick": Tick(),
        }
        for action in told(events[step], now):
            match action:
                case AskTranscript(number, final):
                    assert number > request, "requests have new numbers"
                    request = number if not final else request
                case BeginAnswer():
                    assert not begun, "one answer at a time"
                    begun = True
                case RetractAnswer() | ConfirmAnswer():
                    assert begun
                    begun = False
                case PausePlayout():
                    assert not paused
                    paused = True
                case ResumePlayout() | Interrupt():
                    assert paused
                    paused = False
        if step == "ended":
            paused = False
        assert paused == (told.turns.floor is Floor.PAUSED) or step == "ended"
