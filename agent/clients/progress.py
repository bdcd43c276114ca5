"""How far an utterance has got: what to say again to a worker that takes over. PURE."""

from dataclasses import dataclass, replace

from agent.clients.types import SpeechAudio


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of sound, and the blob from which another worker goes on after it."""

    audio: SpeechAudio
    resume: bytes


class Progress:
    """Phrases in, sound in; the state for a worker that takes over, out."""

    def __init__(self) -> None:
        self.flushed = False
        self.stopped = False
        self.done = False
        """The worker has said that nothing more comes."""
        self.resume = b""
        self._phrases: dict[int, str] = {}
        self._current: int | None = None
        self._next_sample = 0
        self._current_complete = False

    def add(self, phrase_id: int, text: str) -> None:
        """A phrase to speak. Raises ValueError when the ids do not grow."""
        last = max(self._phrases, default=-1 if self._current is None else self._current)
        if phrase_id <= last:
            raise ValueError(f"phrase {phrase_id} comes after phrase {last}; ids grow")
        self._phrases[phrase_id] = text

    def accept(self, heard: Heard) -> SpeechAudio | None:
        """Take sound; returns what of it is new. Sound of a phrase that nobody sent, or of an earlier one, is none."""
        audio = heard.audio
        current = self._current
        if audio.phrase_id not in self._phrases or (current is not None and audio.phrase_id < current):
            return None
        if audio.phrase_id != current:
            self._phrases = {phrase: text for phrase, text in self._phrases.items() if phrase >= audio.phrase_id}
            self._current, self._next_sample, self._current_complete = audio.phrase_id, 0, False
        if self._current_complete:
            return None
        known = max(0, self._next_sample - audio.first_sample)
        if known >= len(audio.samples) and not (audio.last_of_phrase and known == len(audio.samples)):
            return None
        self.resume = heard.resume
        self._next_sample = audio.first_sample + len(audio.samples)
        self._current_complete = audio.last_of_phrase
        if not known:
            return audio
        return replace(audio, samples=audio.samples[known:], first_sample=audio.first_sample + known)

    def remaining(self) -> list[tuple[int, str]]:
        """Ids and texts to send to a worker that goes on from `resume`; without a blob it begins the phrase under way
        again, with the same seed, and `accept` drops what is known."""
        phrases = self._phrases
        if self.stopped:
            phrases = {phrase: text for phrase, text in phrases.items() if phrase == self._current}
        if self._current_complete and not self.resume:
            phrases = {phrase: text for phrase, text in phrases.items() if phrase != self._current}
        return list(phrases.items())

    def complete(self) -> bool:
        """No more sound is to come."""
        if self.done:
            return True
        under_way = self._current is not None and not self._current_complete
        if self.stopped:
            return not under_way
        later = any(self._current is None or phrase > self._current for phrase in self._phrases)
        return self.flushed and not under_way and not later
