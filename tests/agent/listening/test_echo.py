"""The agent's own voice is recognised when it comes back; a caller who talks over it is not taken for it."""

import numpy as np
import pytest
import soxr
from pytest_audioeval.samples.registry import SampleLang, SampleRegistry

from agent.audio import Samples
from agent.listening.echo import LONGEST_LAG, NO_ECHO, STRETCH, EchoJudge, echo_of
from agent.listening.events import BargeIn, ListeningEvent, SpeechStarted, SpeechStopped
from agent.listening.pool import ListeningPool

RATE = 8000


def recording(name: str, lang: SampleLang, rate: int = RATE) -> np.ndarray:
    sample = next(s for s in SampleRegistry().by_lang(lang) if name in s.name)
    sound = soxr.resample(sample.audio_numpy(), 16000, rate)
    return sound / np.abs(sound).max() * 16000


def echo(played: np.ndarray, delay: float, rate: int = RATE, level_db: float = -20.0) -> np.ndarray:
    """Through a loudspeaker in a room with a reverberation of 0.15 s."""
    length = round(0.15 * rate)
    room = np.random.default_rng(3).standard_normal(length) * np.exp(-6.9 * np.arange(length) / length) * 0.15
    room[0] = 1.0
    late = np.concatenate([np.zeros(round(delay * rate)), np.convolve(played, room)])[: len(played)]
    return late * 10 ** (level_db / 20)


def pcm(sound: np.ndarray) -> Samples:
    return np.clip(sound, -32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def agent() -> Samples:
    """13 s of talking."""
    parts = [recording(n, SampleLang.EN) for n in ("fox", "counting", "hello")]
    return pcm(np.concatenate([np.zeros(RATE), *parts, *parts, np.zeros(RATE)]))


def hear(line: Samples, played: Samples | None, rate: int = RATE) -> list[tuple[float, ListeningEvent]]:
    pool, size, heard = ListeningPool(), rate // 50, []
    ear = pool.open(rate)
    for at in range(0, len(line) - size + 1, size):
        ear.push(line[at : at + size])
        ear.agent_speaking(None if played is None else played[at : at + size])
        pool.process()
        heard += [(ear.position / rate, event) for event in ear.events()]
    return heard


@pytest.mark.parametrize("delay", [0.1, 0.17, 0.3])
def test_a_stretch_of_echo_is_explained_and_its_lag_found(agent: Samples, delay: float) -> None:
    line = pcm(echo(agent, delay))
    found = []
    for end in range(2 * RATE, 6 * RATE, RATE // 2):
        begin = end - round(STRETCH * RATE)
        found.append(echo_of(line[begin:end], agent[begin - round(LONGEST_LAG * RATE) : end], RATE))
    assert np.median([e.share for e in found]) > 0.6
    assert np.median([e.lag for e in found]) == pytest.approx(delay, abs=0.003)


def test_other_voices_are_not_explained(agent: Samples) -> None:
    line = pcm(np.resize(recording("pangrama", SampleLang.ES), len(agent)))
    judge = EchoJudge()
    taken = []
    for end in range(2 * RATE, 8 * RATE, RATE // 4):
        begin = end - round(STRETCH * RATE)
        taken.append(judge.is_echo(line[begin:end], agent[begin - round(LONGEST_LAG * RATE) : end], RATE, end / RATE))
    assert np.mean(taken) <= 0.05


def test_silence_is_no_echo_of_anything(agent: Samples) -> None:
    quiet = np.zeros(round(STRETCH * RATE), dtype=np.int16)
    reference = agent[2 * RATE : 2 * RATE + round((STRETCH + LONGEST_LAG) * RATE)]
    assert echo_of(quiet, reference, RATE) == NO_ECHO
    assert echo_of(reference[: len(quiet)], np.zeros_like(reference), RATE) == NO_ECHO


@pytest.mark.models
@pytest.mark.parametrize("delay", [0.1, 0.2, 0.3])
def test_a_speakerphone_does_not_interrupt_the_agent(agent: Samples, delay: float) -> None:
    line = pcm(echo(agent, delay) + np.random.default_rng(0).standard_normal(len(agent)) * 12)
    assert hear(line, agent) == []


@pytest.mark.models
def test_nor_at_16_khz() -> None:
    agent = pcm(np.concatenate([np.zeros(16000), recording("fox", SampleLang.EN, 16000), np.zeros(16000)]))
    assert hear(pcm(echo(agent, 0.2, 16000)), agent, 16000) == []


@pytest.mark.models
def test_without_the_reference_the_echo_is_speech(agent: Samples) -> None:
    """So the tests above test something."""
    assert any(isinstance(event, SpeechStarted) for _, event in hear(pcm(echo(agent, 0.2)), None))


@pytest.mark.models
@pytest.mark.parametrize("level_db", [0.0, -8.0])
def test_a_caller_who_talks_over_the_echo_is_heard(agent: Samples, level_db: float) -> None:
    line = echo(agent, 0.2)
    caller = recording("pangrama", SampleLang.IT) * 10 ** (level_db / 20)
    start = 4 * RATE
    line[start : start + len(caller)] += caller
    heard = hear(pcm(line), agent)
    started = [(at, event) for at, event in heard if isinstance(event, SpeechStarted)]
    assert started
    assert -0.1 <= started[0][1].first / RATE - 4 <= 0.45
    assert any(isinstance(event, BargeIn) and at < 4 + 1.2 for at, event in heard)
    assert isinstance(heard[-1][1], SpeechStopped)


def test_one_likeness_is_chance_two_are_echo(agent: Samples) -> None:
    """A nasal may be like some hum of the agent's for a moment; taken for echo it would cost the word its beginning."""
    line, judge, judged = pcm(echo(agent.astype(np.float64), 0.2)), EchoJudge(), []
    ends = [2 * RATE + 256 * n for n in range(12)]
    for end in ends:
        begin = end - round(STRETCH * RATE)
        judged.append(judge.is_echo(line[begin:end], agent[begin - round(LONGEST_LAG * RATE) : end], RATE, end / RATE))
    assert not judged[0]
    assert all(judged[-6:])
