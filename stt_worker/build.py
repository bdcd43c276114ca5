"""From settings to what serves."""

import asyncio
import os
import socket

from protos.speech_to_text_pb2 import DESCRIPTOR
from protos.speech_to_text_pb2_grpc import add_SpeechToTextServicer_to_server
from services.server import Drain, Service
from stt_worker import metrics
from stt_worker.config import SttSettings
from stt_worker.decoding import warm_up
from stt_worker.engine import Engine
from stt_worker.listener import Pool
from stt_worker.pool import DecoderPool
from stt_worker.scripted import ScriptedEngine
from stt_worker.servicer import Ready, Recognizer

NAME = DESCRIPTOR.services_by_name["SpeechToText"].full_name


def engine(settings: SttSettings) -> Engine:
    """The engine that the settings ask for, loaded. Raises ModelError."""
    if settings.engine == "scripted":
        return ScriptedEngine(settings)
    from stt_worker.whisper import WhisperEngine  # the scripted engine needs no CTranslate2

    return WhisperEngine(settings)


def service(settings: SttSettings, drain: Drain) -> Service:
    """What `services.server.run` serves."""
    servicer = Recognizer(settings, drain, worker_id=f"{socket.gethostname()}:{os.getpid()}")
    return Service(
        name=NAME,
        register=lambda server: add_SpeechToTextServicer_to_server(servicer, server),
        warm_up=lambda: _warm_up(settings, servicer),
        close=lambda: _close(servicer),
    )


async def _warm_up(settings: SttSettings, servicer: Recognizer) -> None:
    """Load the model and let every decoder work once. Raises ModelError."""
    loaded = await asyncio.to_thread(engine, settings)
    await asyncio.gather(*(asyncio.to_thread(warm_up, loaded) for _ in range(settings.decoders)))
    pool: Pool = DecoderPool(settings.decoders, settings.max_waiting)
    metrics.QUEUE.set_function(lambda: pool.waiting)
    servicer.ready = Ready(loaded, pool)


async def _close(servicer: Recognizer) -> None:
    if servicer.ready is not None:
        await servicer.ready.pool.close()
