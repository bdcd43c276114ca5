"""When does the caller speak? PURE: windows in, SpeechStarted and SpeechStopped out; nothing here reads a clock."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from agent.listening.events import SpeechStarted, SpeechStopped, Window


@dataclass(frozen=True, slots=True)
class ActivityRules:
    """Thresholds. Probabilities are the model's, levels dB."""

    start_probability: float = 0.5
    sure_probability: float = 0.8
    """Two windows in a row like this are enough for a start; less sure ones need three."""
    misses: int = 3
    """So many unvoiced windows in a row end a run that has not become a start: a stop consonant is shorter."""
    closure: int = 7
    """Quiet parts (8 ms) between a first consonant and the rest: "s-top"."""
    stop_probability: float = 0.35
    above_floor: float = 3.0
    """A voiced window, and a voiced part of one, is this much louder than the noise floor..."""
    below_speech: float = 30.0
    """...and at most this much quieter than the caller's usual level: decay of the room is not speech. With 27 dB soft
    last consonants are missed by up to 130 ms."""
    silence: float = -66.0
    """Nothing below this is speech: the noise of an idle line."""
    above_voices: float = 11.0
    """Where people talk in the background all the time, the caller is this much louder than their quieter moments."""
    below_caller: float = 11.0
    """...and at most this much quieter than usual..."""
    hysteresis: float = 1.5
    """...or this much less once speaking."""
    trail_seconds: float = 0.2
    """Sound this soon after the model's last voiced window is still the word's end: the "t" of "cost" comes 0.15 s
    after what the model takes for voice."""
    pause_seconds: float = 0.1
    """Unvoiced for so long is a pause."""


class Background:
    """Finds voices behind the caller, which the model takes for speech as much as the caller's own.

    In a conversation somebody is silent for a tenth of any eight seconds, and then the line is as quiet as it gets.
    Where voices go on and the quietest tenth is not quiet, that tenth tells how loud the background is.
    """

    _WINDOWS, _ENOUGH, _EVERY = 250, 80, 8
    _OFTEN, _STILL, _AUDIBLE = 0.75, 0.4, -54.0

    def __init__(self) -> None:
        self._levels = np.full(self._WINDOWS, -96.0)
        self._voices = [False] * self._WINDOWS
        self._voiced = 0  # of them
        self._seen = 0
        self.quiet_moments: float | None = None
        """dBFS that the voices fall below for a tenth of the time; None where there are none."""

    def update(self, window: Window) -> None:
        """Take the next window."""
        place, voice = self._seen % self._WINDOWS, window.probability >= 0.3
        self._voiced += voice - self._voices[place]
        self._levels[place], self._voices[place] = window.level, voice
        self._seen += 1
        if self._seen >= self._ENOUGH and self._seen % self._EVERY == 0:
            known = min(self._seen, self._WINDOWS)
            often = self._voiced >= known * (self._OFTEN if self.quiet_moments is None else self._STILL)
            tenth = float(np.percentile(self._levels[:known], 10)) if often else -96.0
            self.quiet_moments = tenth if tenth > self._AUDIBLE else None


class Activity:
    """The state of one call: quiet or speaking, the noise floor, the caller's level.

    The floor follows what is surely not speech; the caller's level follows voiced windows, upwards quickly and
    downwards slowly.
    """

    def __init__(self, rate: int, rules: ActivityRules | None = None) -> None:
        self._rules = rules or ActivityRules()
        self._pause = int(self._rules.pause_seconds * rate)
        self._trail = int(self._rules.trail_seconds * rate)
        self._part = rate // 125  # a quarter of a window
        self._recent: deque[Window] = deque(maxlen=12)
        self._run: list[Window] = []
        self._misses = 0
        self._last = 0
        self._sure = 0  # end of the last window that the model takes for voice
        self._background = Background()
        self.speaking = False
        self.first = 0
        """Position of the first voiced sample of the speech under way, or of the last one."""
        self.floor = -60.0
        """dBFS."""
        self.speech_level: float | None = None
        """dBFS; None until the caller has spoken."""

    @property
    def crowd(self) -> bool:
        """There are voices behind the caller all the time."""
        return self._background.quiet_moments is not None

    def update(self, window: Window, careful: bool = False) -> SpeechStarted | SpeechStopped | None:
        """Take the next window; returns what it makes certain, if anything. `careful`, while the agent speaks and
        echo is to be feared, asks for a longer run of voiced windows before a start."""
        alone = self._background.quiet_moments is None
        if not window.echo:
            self._background.update(window)
        quiet = self._background.quiet_moments
        if alone and quiet is not None and (self.speech_level or 0.0) < quiet + self._rules.above_voices:
            self.speech_level = None  # it was that of the crowd
        voiced = self._voiced(window)
        self._track(window, voiced)
        self._recent.append(window)
        if self.speaking:
            return self._going_on(window, voiced)
        return self._beginning(window, voiced, careful) or self._trailing(window)

    def _threshold(self) -> float:
        usual = -96.0 if self.speech_level is None else self.speech_level - self._rules.below_speech
        return max(self.floor + self._rules.above_floor, usual, self._rules.silence, self._voices())

    def _voices(self) -> float:
        """What a window must reach where there are voices behind the caller."""
        quiet = self._background.quiet_moments
        if quiet is None:
            return -96.0
        usual = -96.0 if self.speech_level is None else self.speech_level - self._rules.below_caller
        return max(quiet + self._rules.above_voices, usual) - (self._rules.hysteresis if self.speaking else 0.0)

    def _voiced(self, window: Window) -> bool:
        needed = self._rules.stop_probability if self.speaking else self._rules.start_probability
        if window.echo or window.probability < needed:
            return False
        return max(window.parts) >= self._threshold() and window.level >= self._voices()

    def _track(self, window: Window, voiced: bool) -> None:
        level = max(window.level, -80.0)
        if voiced:
            known = level if self.speech_level is None else self.speech_level
            self.speech_level = known + (0.2 if level > known else 0.005) * (level - known)
        elif not window.echo and (window.probability < 0.2 or level < self.floor):
            self.floor += 0.1 * (level - self.floor)

    def _beginning(self, window: Window, voiced: bool, careful: bool) -> SpeechStarted | None:
        if not voiced:
            self._misses += 1
            if self._misses >= self._rules.misses or window.echo:
                self._run.clear()
            return None
        self._misses = 0
        self._run.append(window)
        sure = sum(w.probability >= self._rules.sure_probability for w in self._run[-2:]) == 2
        if len(self._run) < (2 if sure and not careful else 3):
            return None
        self.speaking = True
        self._sure = window.end
        self.first = self._onset()
        self._last = self._end_of_voice(window)
        return SpeechStarted(self.first)

    def _going_on(self, window: Window, voiced: bool) -> SpeechStopped | None:
        if voiced:
            self._sure = window.end
            self._last = self._end_of_voice(window)
        if window.end - self._last < self._pause:
            return None
        self.speaking = False
        self._run.clear()
        return SpeechStopped(self._last)

    def _trailing(self, window: Window) -> SpeechStopped | None:
        """A sound right after the end, too short to be a beginning: the word ended later than it seemed."""
        if window.echo or self.crowd or not self._sure or window.end - self._sure > self._trail:
            return None
        last = self._end_of_voice(window)
        if last <= self._last:
            return None
        self._last = last
        return SpeechStopped(last)

    def _onset(self) -> int:
        """The model needs a window or two to be sure: go back from its first voiced window while it is loud."""
        threshold = self._threshold()
        windows = list(self._recent)
        while len(windows) > 1 and any(w.echo for w in windows[:-1]):
            windows.pop(0)
        parts = [(w, part, level) for w in windows for part, level in enumerate(w.parts)]
        sure = next(n for n, (w, _, _) in enumerate(parts) if w.end >= self._run[0].end)
        while sure < len(parts) - 1 and parts[sure][2] < threshold:
            sure += 1
        first = sure
        closure = 0 if self.crowd else self._rules.closure  # in a crowd what comes before is somebody else
        while sure > 0 and first - sure <= closure:
            sure -= 1
            if parts[sure][2] >= threshold:
                first = sure
        window, part, _ = parts[first]
        return window.end - (4 - part) * self._part

    def _end_of_voice(self, window: Window) -> int:
        """End of the last part that is loud enough, so that the model's hangover does not count as voice."""
        threshold = self._threshold()
        for part in (3, 2, 1, 0):
            if window.parts[part] >= threshold:
                return window.end - (3 - part) * self._part
        return self._last
