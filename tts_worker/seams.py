"""PURE: can a join be heard? Gap, level, pitch and click at a place in a recording, against what speech does anyway.

For joins between phrases, between pieces, and between two workers of which the second went on for the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tts_worker.engine import Sound

_SIDE = 0.12
"""Seconds that are looked at on each side."""
_SILENT = 10 ** (-50 / 20)
_STEP = 0.005
_LOWEST, _HIGHEST = 70.0, 400.0  # pitch of voices, Hz
_PERIODIC = 0.5
_AROUND = 0.02


@dataclass(frozen=True)
class Seam:
    """What is at a join."""

    gap: float
    """Seconds of silence across it."""
    level_jump: float
    """dB from before to after; 0 next to silence."""
    pitch_jump: float | None
    """Semitones from before to after; None where one side has no pitch."""
    click: float
    """Largest step between neighbouring samples within 2 ms of it, over the largest within 20 ms around: speech alone
    stays near or below 1."""

    @property
    def audible(self) -> list[str]:
        """What a listener would notice, in words; [] for a good join."""
        found = []
        if self.click > 2:
            found.append(f"a click, {self.click:.1f} times the steps around it")
        if abs(self.level_jump) > 9:
            found.append(f"a jump in level of {self.level_jump:+.0f} dB")
        if self.pitch_jump is not None and abs(self.pitch_jump) > 4:
            found.append(f"a jump in pitch of {self.pitch_jump:+.1f} semitones")
        if self.gap > 0.6:
            found.append(f"a gap of {self.gap:.2f} s")
        return found


@dataclass(frozen=True)
class Join:
    """A place that was looked at."""

    where: str
    seconds: float
    """From the beginning of the recording."""
    seam: Seam


def table(joins: Sequence[Join]) -> str:
    """One line a join, with what can be heard there."""
    width = max([len(join.where) for join in joins], default=0)
    lines = [f"{'':{width}}       s    gap   level   pitch  click   (s, dB, semitones, times the steps around)"]
    for join in joins:
        seam = join.seam
        pitch = "-" if seam.pitch_jump is None else f"{seam.pitch_jump:+.1f}"
        verdict = ", ".join(seam.audible) or "cannot be heard"
        numbers = f"{join.seconds:8.3f} {seam.gap:6.2f}  {seam.level_jump:+6.1f}  {pitch:>6} {seam.click:6.2f}"
        lines.append(f"{join.where:{width}}{numbers}   {verdict}")
    return "\n".join(lines) + "\n"


def seam_at(samples: Sound, rate: int, place: int) -> Seam:
    """Look at `samples` (−1 to 1) around index `place`."""
    side = round(_SIDE * rate)
    before, after = samples[max(0, place - side) : place], samples[place : place + side]
    silent_before, silent_after = _silence(samples[:place][::-1], rate), _silence(samples[place:], rate)
    levels = _level(before), _level(after)
    quiet = min(levels) < _SILENT
    pitches = _pitch(before, rate), _pitch(after, rate)
    pitch_jump = None if None in pitches else 12 * float(np.log2((pitches[1] or 1) / (pitches[0] or 1)))
    return Seam(
        gap=silent_before + silent_after,
        level_jump=0.0 if quiet else 20 * float(np.log10(levels[1] / levels[0])),
        pitch_jump=pitch_jump,
        click=_click(samples, rate, place),
    )


def _silence(samples: Sound, rate: int) -> float:
    """Seconds from the start until it sounds, at most to its end."""
    step = round(_STEP * rate)
    blocks = np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(axis=1, initial=0.0)
    loud = np.flatnonzero(blocks >= _SILENT)
    return float((loud[0] if len(loud) else len(blocks)) * _STEP)


def _level(samples: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0


def _pitch(samples: Sound, rate: int) -> float | None:
    """Hz by autocorrelation; None for noise, silence, and what is too short."""
    longest, shortest = round(rate / _LOWEST), round(rate / _HIGHEST)
    if len(samples) < 2 * longest or _level(samples) < _SILENT:
        return None
    sound = samples - samples.mean()
    full = np.fft.irfft(np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2)[: longest + 1]
    full = full / (np.arange(len(sound), len(sound) - longest - 1, -1) / len(sound)) / max(full[0], 1e-12)
    # The first period counts: its multiples are peaks, too.
    peaks = [
        lag
        for lag in range(shortest, longest)
        if full[lag] >= _PERIODIC and full[lag - 1] <= full[lag] >= full[lag + 1]
    ]
    best = max((full[lag] for lag in peaks), default=0.0)
    first = next((lag for lag in peaks if full[lag] >= 0.9 * best), None)
    return None if first is None else rate / first


def _click(samples: Sound, rate: int, place: int) -> float:
    near, around = round(0.002 * rate), round(_AROUND * rate)
    steps = np.abs(np.diff(samples[max(0, place - around) : place + around]))
    middle = min(place, around)
    at = steps[max(0, middle - near) : middle + near].max(initial=0.0)
    rest = np.concatenate((steps[: max(0, middle - near)], steps[middle + near :])).max(initial=0.0)
    return float(at / max(rest, _SILENT))
