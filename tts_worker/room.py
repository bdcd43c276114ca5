"""PURE: how many phrases a given memory holds at once."""

from dataclasses import dataclass

from tts_worker.engine import EngineError
from tts_worker.model.codec_config import Codec
from tts_worker.model.config import Config

_MOST = 2_000
_MIB = 1 << 20


@dataclass(frozen=True)
class Room:
    """Memory for what is kept of phrases under way: keys and values of the backbone, state of the codec."""

    size: int
    """Bytes."""
    positions: int
    """Voice, text and frames of a phrase together."""

    def of_one(self, config: Config, bytes_per_number: int) -> int:
        """Bytes that a phrase takes."""
        return bytes_per_number * (self.positions * numbers_per_position(config) + codec_numbers(config.codec))

    def slots(self, config: Config, bytes_per_number: int) -> int:
        """Phrases that can be spoken at once. Raises EngineError where there is no room for one."""
        each = self.of_one(config, bytes_per_number)
        if self.size < each:
            sizes = f"{self.size / _MIB:.1f}; a phrase of {self.positions} positions takes {each / _MIB:.1f}"
            raise EngineError(f"cache_mib: {sizes}")
        return min(self.size // each, _MOST)


def numbers_per_position(config: Config) -> int:
    """Keys and values of all layers."""
    return 2 * config.n_layers * config.n_kv_heads * config.head_dim


def codec_numbers(codec: Codec) -> int:
    """What the decoder keeps of a stream: windows of its layers, and inputs of its convolutions."""
    windows = sum(2 * stage.layers * stage.window * codec.n_heads * codec.head_dim for stage in codec.decoder_stages)
    first, *others = codec.decoder_stages
    pasts = codec.latent * (first.kernel - first.stride) + codec.dim * (codec.patch_proj_kernel_size - 1)
    return windows + pasts + sum(codec.dim * (-(-stage.kernel // stage.stride) - 1) for stage in others)
