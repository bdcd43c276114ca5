"""WAV files from the command line. What cannot be read is told by the commands: see test_listen and test_process."""

import wave
from pathlib import Path

import numpy as np
import pytest

from tts_worker.clip import clip_of
from tts_worker.recording import RecordingError, clip_bytes, read


def write(path: Path, rate: int, channels: int = 1, width: int = 2) -> Path:
    """A second and a half of 300 Hz, in the first channel."""
    tone = 9000 * np.sin(2 * np.pi * 300 * np.arange(rate * 3 // 2) / rate)
    samples = np.zeros((len(tone), channels), f"<i{width}")
    samples[:, 0] = tone
    with path.open("wb") as target, wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_a_clip_is_at_24_khz_whatever_the_file_is_at(tmp_path: Path, rate: int) -> None:
    clip = clip_of(clip_bytes(write(tmp_path / "clip.wav", rate)))
    assert len(clip.sound) == 36_000
    spectrum = np.abs(np.fft.rfft(clip.sound))
    assert np.argmax(spectrum) == 450  # 300 Hz
    assert np.abs(clip.sound[1000:-1000]).max() == pytest.approx(9000 / 32768, rel=0.01)


def test_the_first_channel_counts(tmp_path: Path) -> None:
    samples, rate = read(write(tmp_path / "stereo.wav", 16000, channels=2))
    assert (len(samples), rate) == (24_000, 16_000)
    assert np.abs(samples).max() == pytest.approx(9000 / 32768, rel=0.01)


def test_other_widths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="32 bits a sample; valid: 16"):
        read(write(tmp_path / "wide.wav", 16000, width=4))
