"""The pool on real models: rows do not touch each other, streams are as good as wholes, positions are right."""

import math
from collections.abc import Iterable

import numpy as np
import pytest
import soxr
from pytest_audioeval.samples.registry import SampleLang, SampleRegistry

from agent.audio import Samples
from agent.listening import pool as pool_module
from agent.listening.events import ListeningEvent, SpeechStarted, SpeechStopped
from agent.listening.pool import Ear, ListeningPool
from agent.listening.silero import Floats, Memory, window_samples

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def pool() -> ListeningPool:
    return ListeningPool()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """A spoken English sentence at 16 kHz, 2.9 s."""
    return next(s for s in SampleRegistry().by_lang(SampleLang.EN) if "fox" in s.name).audio_numpy()


def spoken(
    speech: np.ndarray, rate: int, lead: float, tail: float = 1.0, level: float = -23.0
) -> tuple[Samples, int, int]:
    """The sentence on a quiet line at `level` dBFS, and the positions where its sound begins and ends."""
    sound = soxr.resample(speech, 16000, rate)
    sound = sound * 10 ** (level / 20) / np.sqrt(np.mean(np.square(sound)))
    step = rate // 100
    power = np.square(sound[: len(sound) // step * step]).reshape(-1, step).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10**-3.5)
    start = round(lead * rate)
    line = np.concatenate([np.zeros(start), sound, np.zeros(round(tail * rate))])
    line += np.random.default_rng(0).standard_normal(len(line)) * 10 ** (-72 / 20)
    return (line * 32767).astype(np.int16), start + int(loud[0]) * step, start + int(loud[-1] + 1) * step


def hear(pool: ListeningPool, ear: Ear, sound: Samples, chunks: Iterable[int]) -> list[ListeningEvent]:
    events, at = [], 0
    for size in chunks:
        ear.push(sound[at : at + size])
        pool.process()
        events += ear.events()
        at += size
    return events


def frames(sound: Samples, rate: int) -> list[int]:
    return [rate // 50] * (len(sound) * 50 // rate)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("level", [-18.0, -30.0, -44.0])
def test_speech_is_placed_where_it_is(pool: ListeningPool, speech: np.ndarray, rate: int, level: float) -> None:
    allowed = 0.06 if level > -40 else 0.12  # the soft ends drown
    for lead in (1.0, 1.013, 2.5):
        sound, first, last = spoken(speech, rate, lead, level=level)
        events = hear(pool, pool.open(rate), sound, frames(sound, rate))
        started, stopped = events[0], events[-1]
        assert isinstance(started, SpeechStarted)
        assert isinstance(stopped, SpeechStopped)
        assert abs(started.first - first) <= allowed * rate
        assert abs(stopped.last - last) <= allowed * rate


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_start_and_a_pause_are_told_soon(pool: ListeningPool, speech: np.ndarray, rate: int) -> None:
    sound, first, last = spoken(speech, rate, 1.5)
    ear = pool.open(rate)
    told: list[tuple[int, ListeningEvent]] = []
    for at in range(0, len(sound) - rate // 50 + 1, rate // 50):
        ear.push(sound[at : at + rate // 50])
        pool.process()
        told += [(ear.position, event) for event in ear.events()]
    assert told[0][0] - first <= 0.2 * rate
    assert 0.08 * rate <= told[-1][0] - last <= 0.16 * rate


def test_events_alternate_and_speaking_follows_them(pool: ListeningPool, speech: np.ndarray) -> None:
    sound, _, _ = spoken(speech, 8000, 0.5)
    ear = pool.open(8000)
    speaking = False
    for at in range(0, len(sound) - 159, 160):
        ear.push(sound[at : at + 160])
        pool.process()
        for event in ear.events():
            # A stop may be told again, corrected; a start never is.
            assert not (speaking and isinstance(event, SpeechStarted))
            speaking = isinstance(event, SpeechStarted)
        assert ear.speaking is speaking
    assert not speaking


def test_many_ears_hear_what_each_hears_alone(pool: ListeningPool, speech: np.ndarray) -> None:
    sounds = [spoken(speech, 8000, 0.4 + 0.137 * n, level=-18 - 3 * n)[0][:24000] for n in range(5)]
    alone = [hear(pool, pool.open(8000), sound, frames(sound, 8000)) for sound in sounds]
    ears = [pool.open(8000) for _ in sounds]
    wide = pool.open(16000)
    together: list[list[ListeningEvent]] = [[] for _ in sounds]
    for at in range(0, 24000 - 159, 160):
        for ear, sound in zip(ears, sounds, strict=True):
            ear.push(sound[at : at + 160])
        wide.push(np.zeros(320, dtype=np.int16))
        pool.process()
        for events, ear in zip(together, ears, strict=True):
            events += ear.events()
    assert together == alone
    assert all(alone)
    assert not wide.events()


@pytest.mark.parametrize("chunks", [[1], [7, 900, 33], [320], [5000]])
def test_odd_chunks_are_as_good_as_frames(pool: ListeningPool, speech: np.ndarray, chunks: list[int]) -> None:
    sound, _, _ = spoken(speech[:16000], 8000, 0.3, tail=0.4)
    whole = hear(pool, pool.open(8000), sound, frames(sound, 8000))
    sizes = (chunks * (len(sound) // sum(chunks) + 1))[: len(sound)]
    assert hear(pool, pool.open(8000), sound, sizes)[: len(whole)] == whole


def test_long_silence_does_not_deafen(pool: ListeningPool, speech: np.ndarray) -> None:
    """What the reset of the model's memory is for."""
    sound, first, _ = spoken(speech, 8000, 45.0)
    events = hear(pool, pool.open(8000), sound, frames(sound, 8000))
    assert isinstance(events[0], SpeechStarted)
    assert abs(events[0].first - first) <= 480


@pytest.mark.parametrize("rate", [8000, 16000])
def test_silence_is_passed_over_and_nothing_else_changes(
    speech: np.ndarray, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken_once = soxr.resample(speech, 16000, rate) * 0.3
    silence = np.zeros(4 * rate)
    sound = (np.concatenate([silence, spoken_once, silence, spoken_once, silence]) * 32767).astype(np.int16)
    heard: list[list[ListeningEvent]] = []
    scored = [0, 0]
    for index, silent in enumerate((-math.inf, pool_module._SILENT)):
        pool = ListeningPool()
        run = pool._model.run

        def counted(rate: int, sound: Floats, memories: list[Memory], run=run, index=index) -> list[float]:  # type: ignore[no-untyped-def]
            scored[index] += len(memories)
            scores: list[float] = run(rate, sound, memories)
            return scores

        monkeypatch.setattr(pool._model, "run", counted)
        monkeypatch.setattr(pool_module, "_SILENT", silent)
        heard.append(hear(pool, pool.open(rate), sound, frames(sound, rate)))
    always, sparing = heard
    assert scored[1] < 0.75 * scored[0] == 0.75 * (len(sound) // window_samples(rate))
    assert [type(event) for event in sparing] == [type(event) for event in always]
    for one, other in zip(sparing, always, strict=True):
        assert abs(_position(one) - _position(other)) <= 0.032 * rate


def _position(event: ListeningEvent) -> int:
    return event.last if isinstance(event, SpeechStopped) else event.first


def _tone(rate: int, frequencies: tuple[float, ...], on: float, off: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * f * time) for f in frequencies) * 0.1
    return np.where(time % (on + off) < on, sound, 0.0)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("kind", ["digital silence", "comfort noise", "loud noise", "dtmf", "ringback", "clicks"])
def test_what_is_no_speech_starts_none(pool: ListeningPool, rate: int, kind: str) -> None:
    noise = np.random.default_rng(1).standard_normal(6 * rate)
    sound = {
        "digital silence": np.zeros(6 * rate),
        "comfort noise": noise * 10 ** (-60 / 20),
        "loud noise": noise * 10 ** (-30 / 20),
        "dtmf": _tone(rate, (697, 1209), 0.1, 0.1, 2).tolist() + _tone(rate, (941, 1477), 0.25, 0.1, 4).tolist(),
        "ringback": _tone(rate, (440, 480), 2, 1, 6),
        "clicks": np.where(np.arange(6 * rate) % (rate // 3) < 4, 0.8, 0.0),
    }[kind]
    samples = (np.clip(np.asarray(sound), -1, 1) * 32767).astype(np.int16)
    assert hear(pool, pool.open(rate), samples, frames(samples, rate)) == []


def test_recent_gives_the_newest_sound(pool: ListeningPool) -> None:
    ear = pool.open(8000)
    sound = np.arange(100_000, dtype=np.int64).astype(np.int16)
    hear(pool, ear, sound, [160] * 625)
    assert ear.position == 100_000
    np.testing.assert_array_equal(ear.recent(0.5), sound[-4000:])
    np.testing.assert_array_equal(ear.recent(), sound[-64000:])


def test_a_closed_ear_is_not_scored(pool: ListeningPool) -> None:
    ear = pool.open(8000)
    pool.close(ear)
    pool.close(ear)
    ear.push(np.zeros(256, dtype=np.int16))
    pool.process()
    assert ear.ready()


def test_other_rates_are_refused(pool: ListeningPool) -> None:
    with pytest.raises(ValueError, match="not 11025"):
        pool.open(11025)
