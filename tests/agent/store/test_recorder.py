"""Recordings, read back by the standard library's WAV reader."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from agent.audio import Samples
from agent.store import Recorder, Store
from agent.store.recorder import _Frame, _joined, _placed, wav_header
from agent.telephony.leg import CallInfo

INFO = CallInfo("call-1", "inbound", "+441", "+442", "memory")


def read(path: Path) -> tuple[int, Samples, Samples]:
    """(rate, caller, agent)."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        return file.getframerate(), sound[:, 0], sound[:, 1]


def tone(samples: int, value: int) -> Samples:
    return np.full(samples, value, dtype=np.int16)


def frames(recorder: Recorder, first: int, count: int, size: int = 160) -> None:
    """`count` frames from frame number `first`; caller n + 1, agent -(n + 1)."""
    for n in range(first, first + count):
        recorder.add(n * size, tone(size, n + 1), tone(size, -n - 1))


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_caller_is_left_agent_is_right_sample_for_sample(tmp_path: Path, rate: int) -> None:
    size = rate // 50
    async with Store.open(tmp_path) as store:
        record = store.begin(INFO, "a")
        recorder = record.recorder(rate)
        frames(recorder, 0, 60, size)
        record.ended("caller_hung_up")
        path = await store.recording("call-1")
    assert path is not None
    got_rate, caller, agent = read(path)
    expected = np.repeat(np.arange(1, 61, dtype=np.int16), size)
    assert got_rate == rate
    assert np.array_equal(caller, expected)
    assert np.array_equal(agent, -expected)


async def test_gaps_are_silence_and_overlaps_are_dropped(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        recorder = store.begin(INFO, "a").recorder(8000)
        recorder.add(320, tone(160, 5), tone(80, 6))  # begins late; the agent's frame is short
        recorder.close()
        recorder.close()
        path = await store.recording("call-1")
        assert path is not None
        _, caller, agent = read(path)
    assert np.array_equal(caller, np.r_[np.zeros(320), np.full(160, 5)])
    assert np.array_equal(agent, np.r_[np.zeros(320), np.full(80, 6), np.zeros(80)])


@pytest.mark.parametrize("before", [25, 3])  # a whole block, on its way to the disk; or one still being filled
async def test_a_frame_from_the_past_does_not_overwrite(tmp_path: Path, before: int) -> None:
    async with Store.open(tmp_path) as store:
        recorder = store.begin(INFO, "a").recorder(8000)
        frames(recorder, 0, before)
        recorder.add(before * 160 - 80, tone(160, 99), tone(160, 99))
        recorder.close()
        path = await store.recording("call-1")
        assert path is not None
        _, caller, _ = read(path)
    assert np.array_equal(caller[before * 160 - 160 :], np.r_[np.full(160, before), np.full(80, 99)])


async def test_a_pause_is_silence_of_the_same_length(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        recorder = store.begin(INFO, "a").recorder(8000)
        frames(recorder, 0, 10)
        recorder.pause()
        frames(recorder, 10, 40)
        recorder.resume()
        frames(recorder, 50, 10)
        recorder.close()
        path = await store.recording("call-1")
        assert path is not None
        _, caller, agent = read(path)
    assert len(caller) == 60 * 160
    assert not caller[10 * 160 : 50 * 160].any()
    assert not agent[10 * 160 : 50 * 160].any()
    assert caller[:1600].all()
    assert caller[8000:].all()


async def test_a_caller_who_refuses_leaves_no_sound(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(INFO, "a")
        recorder = record.recorder(8000)
        frames(recorder, 0, 60)
        await store.flush()
        assert list((tmp_path / "recordings").iterdir())
        recorder.discard()
        frames(recorder, 60, 60)
        record.ended("caller_hung_up")
        found = await store.call("call-1")
        assert found is not None
        assert not found.call.recording
        assert await store.recording("call-1") is None
    assert not list((tmp_path / "recordings").iterdir())


async def test_the_file_plays_while_it_grows(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        recorder = store.begin(INFO, "a").recorder(8000)
        for second in range(3):
            frames(recorder, second * 50, 50)
            await store.flush()
            path = await store.recording("call-1")
            assert path is not None
            assert len(read(path)[1]) == (second + 1) * 8000


async def test_a_second_recording_of_one_call_is_a_mistake(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:
        record = store.begin(INFO, "a")
        record.recorder(8000)
        with pytest.raises(ValueError, match="one recording"):
            record.recorder(8000)


def test_the_header_says_what_riff_asks_for() -> None:
    header = wav_header(8000, 100)
    assert len(header) == 44
    assert struct.unpack_from("<I", header, 4) == (36 + 400,)
    assert struct.unpack_from("<HHIIHH", header, 20) == (1, 2, 8000, 32_000, 4, 16)
    assert struct.unpack_from("<I", header, 40) == (400,)


def test_frames_that_follow_each_other_are_joined_as_they_would_be_placed() -> None:
    block = [_Frame(800 + 160 * n, tone(160, n + 1), tone(160, -n - 1)) for n in range(25)]
    joined = _joined(block, 800, 800 + 25 * 160)
    assert joined is not None
    np.testing.assert_array_equal(joined, _placed(block, 800, 800 + 25 * 160))


@pytest.mark.parametrize(
    ("block", "start"),
    [
        ([_Frame(0, tone(160, 1), tone(160, 2)), _Frame(320, tone(160, 1), tone(160, 2))], 0),
        ([_Frame(0, tone(160, 1), tone(160, 2)), _Frame(80, tone(160, 1), tone(160, 2))], 0),
        ([_Frame(0, tone(160, 1), tone(80, 2)), _Frame(160, tone(160, 1), tone(160, 2))], 0),
        ([_Frame(0, tone(160, 1), tone(160, 2))], 80),
    ],
    ids=["gap", "overlap", "unequal", "half of it is written"],
)
def test_other_frames_are_not_joined(block: list[_Frame], start: int) -> None:
    assert _joined(block, start, block[-1].end) is None
