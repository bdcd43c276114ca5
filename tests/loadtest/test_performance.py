"""The caller's side of a call, tick by tick, against a scripted agent."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from agent.audio import Samples
from loadtest.performance import FRAME, RATE, Clip, Ear, Event, Performance
from loadtest.scenario import Scenario, parse, spoken

QUIET = np.zeros(FRAME, dtype=np.int16)
LOUD = np.full(FRAME, 3000, dtype=np.int16)
SECOND = 50
"""Ticks."""

Agent = Callable[[int, Performance], bool]
"""Whether the agent sounds at a tick."""


def scenario(*steps: str, head: str = "") -> Scenario:
    return parse(f'title = "x"\ngive_up = 3.0\n{head}\n' + "".join(f"[[step]]\n{step}\n" for step in steps), "test")


def performance(wanted: Scenario, seconds: float = 1.0) -> Performance:
    sound = np.full(int(seconds * RATE), 1000, dtype=np.int16)
    clips = {n: Clip(text, sound, 0, len(sound)) for n, step in enumerate(wanted.steps) if (text := spoken(step))}
    return Performance(wanted, clips, np.zeros(0, dtype=np.int16))


def play(caller: Performance, agent: Agent, limit: int = 60 * SECOND) -> list[Samples]:
    """Frames the caller sent until it hung up or the limit."""
    sent = []
    for tick in range(limit):
        out = caller.tick(LOUD if agent(tick, caller) else QUIET)
        sent.append(out.frame)
        if out.hang_up:
            break
    return sent


def talks(*spans: tuple[float, float]) -> Agent:
    return lambda tick, _: any(start <= tick / SECOND < end for start, end in spans)


def kinds(caller: Performance) -> list[str]:
    return [event.kind for event in caller.events]


def the(caller: Performance, kind: str) -> Event:
    return next(event for event in caller.events if event.kind == kind)


def test_waits_for_the_end_of_the_greeting() -> None:
    caller = performance(scenario('say = "Hello."', "hang_up = true"))
    sent = play(caller, talks((0.5, 2.0), (5.0, 6.0)))
    assert kinds(caller) == ["agent_started", "agent_finished", "say", "agent_started", "agent_finished", "hung_up"]
    said = the(caller, "say")
    assert 2.8 * RATE <= said.at <= 3.0 * RATE
    assert said.end - said.at == RATE
    loud = np.flatnonzero(np.concatenate(sent))
    assert (loud[0], loud[-1] + 1) == (said.at, said.end)


def test_a_short_pause_of_the_agent_is_not_its_end() -> None:
    caller = performance(scenario('say = "Hello."'))
    play(caller, talks((0.5, 1.0), (1.6, 2.5)), 5 * SECOND)
    assert the(caller, "say").at > 3.3 * RATE


def test_interrupts_so_far_into_the_answer() -> None:
    caller = performance(scenario('say = "Tell me."', 'interrupt = "Stop."\nafter = 1.5'))
    play(caller, talks((0, 1), (4, 9)), 10 * SECOND)
    assert abs(the(caller, "interrupt").at - 5.5 * RATE) <= 2 * FRAME


def test_after_an_interruption_it_waits_for_the_answer_to_it() -> None:
    caller = performance(scenario('interrupt = "Stop."', 'say = "Thanks."'))
    play(caller, talks((0, 1.4), (3.5, 4.5)), 10 * SECOND)
    assert the(caller, "say").at >= 5.3 * RATE


def test_the_next_interruption_is_of_the_next_answer() -> None:
    """What the agent still says while it falls silent, and for a moment longer, is not talked over again."""
    caller = performance(scenario('interrupt = "Stop."\nafter = 0.5', 'interrupt = "No, wait."\nafter = 1.0'), 0.4)
    play(caller, talks((0, 1.2), (3, 9)), 10 * SECOND)
    first, second = (event.at for event in caller.events if event.kind == "interrupt")
    assert abs(first - 0.5 * RATE) <= 2 * FRAME
    assert abs(second - 4.0 * RATE) <= 2 * FRAME


def test_a_backchannel_by_the_clock_does_not_mind_what_the_agent_does() -> None:
    steps = ('backchannel = "Mhm."\nafter = 2.0\nwait = false',) * 2
    caller = performance(scenario(*steps, "hang_up = true\nwait = false"), 0.5)
    play(caller, talks((0, 1)))
    said = [event.at / RATE for event in caller.events if event.kind == "backchannel"]
    assert said == pytest.approx([2.0, 4.5], abs=0.1)
    assert kinds(caller)[-1] == "hung_up"


def test_a_backchannel_leaves_the_answer_to_be_waited_for() -> None:
    caller = performance(scenario('backchannel = "Mhm."', 'say = "Thanks."'))
    play(caller, talks((0, 6)), 10 * SECOND)
    assert the(caller, "backchannel").at < 1.2 * RATE
    assert 6.8 * RATE <= the(caller, "say").at <= 7.1 * RATE


def test_gives_up_on_a_silent_agent() -> None:
    caller = performance(scenario('say = "Hello?"'))
    assert len(play(caller, talks())) < 4 * SECOND
    assert kinds(caller) == ["gave_up"]


def test_without_hang_up_it_waits_for_the_agent_to_end_the_call() -> None:
    caller = performance(scenario('say = "Bye."'))
    play(caller, talks((0, 1)), 20 * SECOND)
    assert kinds(caller)[-2:] == ["done", "gave_up"]


def test_digits_pause_and_listen() -> None:
    caller = performance(scenario("listen = true", "pause = 2", 'digits = "12#"\nwait = false', "hang_up = true"))
    pressed = [(tick, out.digits) for tick, out in enumerate(_outputs(caller, talks((0, 1)))) if out.digits]
    assert [digits for _, digits in pressed] == ["12#"]
    assert 3.8 * SECOND <= pressed[0][0] <= 4.1 * SECOND


def _outputs(caller: Performance, agent: Agent) -> Iterator[object]:
    for tick in range(10 * SECOND):
        out = caller.tick(LOUD if agent(tick, caller) else QUIET)
        yield out
        if out.hang_up:
            return


def test_background_goes_on_under_everything() -> None:
    wanted = scenario('say = "Hello."')
    caller = performance(wanted)
    caller.background = np.full(RATE, 7, dtype=np.int16)
    sent = np.concatenate(play(caller, talks((0, 1)), 5 * SECOND))
    assert set(np.unique(sent)) == {7, 1007}


def test_a_click_is_not_speech() -> None:
    ear = Ear(patience=0.5)
    assert ear.hear(LOUD, FRAME) is None
    assert ear.hear(QUIET, 2 * FRAME) is None
    assert not ear.speaking
    assert [ear.hear(LOUD, n * FRAME) for n in (3, 4)] == [None, Event("agent_started", 2 * FRAME)]


def test_holds_in_mid_sentence_and_hears_the_agent_go_on() -> None:
    caller = performance(scenario("hold = 4.0\nafter = 1.0", 'say = "Thanks."', "hang_up = true\nwait = false"))
    holds: list[tuple[float, bool]] = []
    agent = talks((0.5, 1.6), (6.0, 7.0))
    for tick in range(20 * SECOND):
        out = caller.tick(LOUD if agent(tick, caller) else QUIET)
        if out.hold is not None:
            holds.append((tick / SECOND, out.hold))
        if out.hang_up:
            break
    (began, first), (ended, second) = holds
    assert (first, second) == (True, False)
    assert began == pytest.approx(1.5, abs=0.1)
    assert ended - began == pytest.approx(4.0, abs=0.1)
    assert the(caller, "say").at / RATE > 7.0, "what was said before the hold is no answer"
    assert [kind for kind in kinds(caller) if kind in ("held", "resumed")] == ["held", "resumed"]


def test_a_loudspeaker_sends_back_what_is_heard() -> None:
    caller = performance(
        scenario("pause = 2.0", "hang_up = true\nwait = false", head="echo = { level_db = -20, delay = 0.2 }")
    )
    sent = np.concatenate(play(caller, talks((0.5, 1.0))))
    loud = np.flatnonzero(sent)
    assert loud[0] / RATE == pytest.approx(0.7, abs=0.03)
    assert loud[-1] / RATE == pytest.approx(1.2, abs=0.03)
    assert np.abs(sent).max() == 300
