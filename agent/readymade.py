"""Speech that is there before it is needed: greetings, apologies, goodbyes, synthesised once per voice and rate."""

import asyncio
import logging
from dataclasses import dataclass

from agent.clients import TextToSpeech
from agent.clients.types import SpeechAudio
from agent.definition import AgentDefinition
from agent.phrases import Phraser
from agent.playout import OWN_TEXT, Speech
from services.errors import ServiceError

log = logging.getLogger(__name__)
RATES = (8000, 16000)


@dataclass(frozen=True, slots=True)
class _Key:
    voice: str
    language: str
    rate: int
    text: str


def fixed_texts(definition: AgentDefinition) -> list[str]:
    """Everything that an agent says without a language model."""
    phrases = definition.phrases
    texts = [definition.greeting, phrases.silence, phrases.goodbye, phrases.time_over, phrases.apology, phrases.failure]
    if definition.recording.enabled and definition.recording.consent != "none":
        texts.append(definition.recording.announcement)
    return [text for text in dict.fromkeys(texts) if text]


class ReadyMade:
    """One per process. What has not been prepared in time is synthesised when it is asked for."""

    def __init__(self, voice: TextToSpeech) -> None:
        self._voice = voice
        self._speech: dict[_Key, tuple[Speech, ...]] = {}

    async def prepare(self, definition: AgentDefinition) -> None:
        """Synthesise all fixed texts of an agent. Raises ServiceError when the speech worker cannot."""
        for text in fixed_texts(definition):
            for rate in RATES:
                await self.speech(definition, text, rate)

    def ready(self, definition: AgentDefinition, text: str, rate: int) -> tuple[Speech, ...] | None:
        """The sound, if it is there."""
        return self._speech.get(_Key(definition.voice, definition.language, rate, text))

    def prepared(self, definition: AgentDefinition) -> bool:
        """Whether every fixed text of the agent can be said at once."""
        return all(self.ready(definition, text, rate) for text in fixed_texts(definition) for rate in RATES)

    async def speech(self, definition: AgentDefinition, text: str, rate: int) -> tuple[Speech, ...]:
        """The sound of `text`; waits for the speech worker when it is not there. Raises ServiceError."""
        key = _Key(definition.voice, definition.language, rate, text)
        if key not in self._speech:
            self._speech[key] = await self._synthesise(key)
        return self._speech[key]

    async def _synthesise(self, key: _Key) -> tuple[Speech, ...]:
        phraser = Phraser()
        phrases = phraser.feed(key.text) + phraser.flush()
        async with self._voice.open("ready-made", key.voice, key.language, key.rate, seed=0) as mouth:
            for number, phrase in enumerate(phrases):
                mouth.phrase(number, phrase.text)
            mouth.flush()
            sound = [audio async for audio in mouth.audio()]
        return tuple(as_speech(audio, OWN_TEXT, phrases[audio.phrase_id].start) for audio in sound)

    async def keep_preparing(self, definitions: list[AgentDefinition]) -> None:
        """Prepare every agent, trying again while the speech worker is away."""
        for definition in definitions:
            while True:
                try:
                    await self.prepare(definition)
                    break
                except ServiceError as error:
                    log.warning("fixed texts are not prepared yet", extra={"agent": definition.name, "why": str(error)})
                    await asyncio.sleep(1)


def as_speech(audio: SpeechAudio, source: int, offset: int) -> Speech:
    """Sound of a phrase that begins at code point `offset` of the text `source`."""
    return Speech(
        audio.samples, source, offset + audio.span_start, offset + audio.span_end, ends_phrase=audio.last_of_phrase
    )
