"""The room between a caller's loudspeaker and microphone."""

import numpy as np
import pytest

from agent.audio import Samples
from loadtest.echo import EchoPath
from loadtest.scenario import Echo

FRAME, RATE = 160, 8000


def through(path: EchoPath, sound: Samples) -> Samples:
    return np.concatenate([path.of(frame) for frame in sound.reshape(-1, FRAME)]).astype(np.int16)


def noise(seconds: float, level: float) -> Samples:
    return (np.random.default_rng(3).standard_normal(int(seconds * RATE)) * level).astype(np.int16)


def test_a_clean_path_is_a_copy_later_and_quieter() -> None:
    sound = noise(1.0, 5000)
    back = through(EchoPath(Echo(level_db=-20, delay=0.1), FRAME, RATE), sound)
    late = RATE // 10
    assert not back[:late].any()
    assert np.abs(back[late:] - sound[:-late] / 10).max() <= 1


@pytest.mark.parametrize("delay", [0.02, 0.1234, 0.3])
def test_a_room_keeps_the_level_and_rings(delay: float) -> None:
    sound = np.concatenate([noise(2.0, 5000), np.zeros(RATE, dtype=np.int16)])
    back = through(EchoPath(Echo(level_db=-20, delay=delay, room=0.3), FRAME, RATE), sound).astype(float)
    late = round(delay * RATE)
    steady = back[late + RATE // 2 : 2 * RATE]
    assert 20 * np.log10(np.sqrt(np.mean(steady**2)) / 5000) == pytest.approx(-20, abs=1)
    assert not back[:late].any()
    ringing = back[2 * RATE + late + RATE // 20 :][: RATE // 20]
    assert np.abs(ringing).max() > 0, "it has not ended at once"
    assert not back[2 * RATE + late + round(0.3 * RATE) :].any()
