"""From settings to the objects that serve."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protos.text_to_speech_pb2 import DESCRIPTOR
from protos.text_to_speech_pb2_grpc import add_TextToSpeechServicer_to_server
from services.errors import Unavailable
from services.server import Drain, Service
from tts_worker.engine import Engine, EngineError
from tts_worker.room import Room
from tts_worker.scripted import ScriptedEngine
from tts_worker.servicer import TextToSpeech
from tts_worker.settings import TtsSettings
from tts_worker.studio import Studio

NAME = DESCRIPTOR.services_by_name["TextToSpeech"].full_name


def engine_builder(settings: TtsSettings) -> Callable[[], Engine[Any]]:
    """What makes an engine, unloaded; one is made for each thread. Raises EngineError."""
    match settings.engine:
        case "hibari":
            from tts_worker.hibari import HibariEngine  # the scripted engine needs no onnxruntime

            return lambda: HibariEngine(settings.model_file)
        case "voxtral":
            from tts_worker.voxtral import from_folder  # only this engine needs torch

            if not settings.model_folder:
                raise EngineError("TRUNKLINE_TTS_MODEL_FOLDER is not set; valid: a folder with the model's files")
            folder, room = Path(settings.model_folder), Room(settings.cache_mib << 20, settings.positions)
            return lambda: from_folder(folder, settings.device, settings.precision, room, settings.compile)
        case "scripted":
            return lambda: ScriptedEngine(settings.scripted_delay)


def studio(settings: TtsSettings) -> Studio:
    """The engines that the settings ask for, not yet started. Raises Unavailable with a line for the operator."""
    try:
        return Studio(engine_builder(settings), settings.threads, settings.max_streams)
    except EngineError as error:
        raise Unavailable(str(error)) from None


def service(settings: TtsSettings, drain: Drain) -> Service:
    """What `services.server.run` serves."""
    stage = studio(settings)
    servicer = TextToSpeech(stage, drain, worker_id=f"{socket.gethostname()}:{os.getpid()}")
    return Service(
        name=NAME,
        register=lambda server: add_TextToSpeechServicer_to_server(servicer, server),
        warm_up=stage.start,
        close=stage.close,
    )
