"""Typed clients of the three workers, for one call each, that survive the death of a worker. Protobuf stops here."""

from agent.clients.llm import LanguageModel, Mind
from agent.clients.stt import Ear, SpeechToText
from agent.clients.tts import Mouth, TextToSpeech
from agent.clients.workers import Workers

__all__ = ["Ear", "LanguageModel", "Mind", "Mouth", "SpeechToText", "TextToSpeech", "Workers"]
