"""Settings of the speech worker."""

from typing import ClassVar, Literal

from pydantic import Field

from services.settings import ServiceSettings


class TtsSettings(ServiceSettings):
    """Variables `TRUNKLINE_TTS_…`."""

    prefix: ClassVar[str] = "TRUNKLINE_TTS_"

    engine: Literal["hibari", "voxtral", "scripted"] = Field(
        "hibari",
        description="hibari: the packaged neural voice. voxtral: a flow-matching model from model_folder. "
        "scripted: a hum without a model, for tests.",
    )
    model_folder: str = Field(
        "",
        description="voxtral: folder with params.json, consolidated.safetensors, voice_embedding/*.pt, and tekken.json "
        "unless the model reads bytes.",
    )
    cache_mib: int = Field(
        1024,
        ge=1,
        description="voxtral: memory for phrases under way, which says how many can be spoken at once. The 4 B model "
        "takes 104 KiB for a position.",
    )
    positions: int = Field(
        1024,
        ge=64,
        le=65536,
        description="voxtral: voice, text and frames of a phrase together; 12.5 frames are a second.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="voxtral: auto is bfloat16 on a GPU, else float32. On a processor bfloat16 is for products "
        "only, and pays where there are instructions for them (avx512_bf16, amx_bf16).",
    )
    compile: bool = Field(
        False, description="voxtral: layers go through torch.compile, which takes minutes at the start."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="voxtral: auto takes a GPU where there is one.")
    model_file: str = Field("", description="Another ONNX export of the hibari network; empty takes the packaged one.")
    max_streams: int = Field(64, ge=1, le=1000, description="Streams at once; one more is refused with a retry time.")
    threads: int = Field(
        1,
        ge=1,
        le=16,
        description="Engine threads, each with a model of its own (about 100 MB); one core each at most.",
    )
    scripted_delay: float = Field(0.0, ge=0, le=60, description="Seconds that a piece of the scripted engine takes.")
