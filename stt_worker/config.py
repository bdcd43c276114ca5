"""Settings of the recogniser: environment variables with the prefix `TRUNKLINE_STT_`."""

import os
from typing import ClassVar, Literal

from pydantic import Field

from services.settings import ServiceSettings


def spare_cores() -> int:
    """Cores this process may use, less the one that moves audio and messages; at least one."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


class SttSettings(ServiceSettings):
    """What an operator may choose."""

    prefix: ClassVar[str] = "TRUNKLINE_STT_"

    engine: Literal["whisper", "scripted"] = Field(
        "whisper", description="whisper, or scripted: no model, a word for every 0.4 s of sound; for load tests."
    )
    model: str = Field(
        "",
        description="Directory of a Whisper model in CTranslate2's format, or the name of one that is in the local "
        "Hugging Face cache. Nothing is ever downloaded. Empty: the packaged tiny.en.",
    )
    language: str = Field("", description="Language of a multilingual model when a caller names none; empty: en.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="cpu, cuda, or auto: a GPU where there is one.")
    compute_type: Literal["auto", "int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"] = Field(
        "auto", description="Arithmetic of the model; auto: int8 on a CPU, float16 on a GPU."
    )
    decoders: int = Field(
        default_factory=spare_cores,
        ge=1,
        le=256,
        description="Decodes at the same time, one thread each. A decode keeps a core busy for 0.1 s, so the default "
        "leaves one core for audio, messages and the neighbours.",
    )
    max_streams: int = Field(32, ge=1, le=10_000, description="Calls at the same time; more are refused.")
    max_waiting: int = Field(
        64, ge=1, le=10_000, description="Requests of all calls that may wait for a decoder; one more is refused."
    )
    partial_seconds: float = Field(
        0.3, ge=0.1, le=10, description="New speech after which an unasked partial result is worth a decode."
    )
    scripted_delay: float = Field(0.0, ge=0, le=60, description="Seconds that the scripted engine takes for a decode.")
