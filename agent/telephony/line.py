"""Sound between the loop and the SIP stack: the stack's rings hold interleaved PCM at the codec's rate."""

from typing import NamedTuple

import numpy as np
import soxr
from baresip import AudioInfo, AudioNotActive, AudioRestarted, CallAudio, _native

from agent.audio import FRAME_SECONDS, Samples, silence

FLUSH_SECONDS = 0.04
"""A flush happens at the transmitter's next tick; what is written before it would be thrown away too."""
READ_BYTES = 1 << 15
_NOTHING = silence(0)


class Format(NamedTuple):
    """PCM of one direction."""

    rate: int
    channels: int


class Counts(NamedTuple):
    """What the streams of a call have done so far."""

    received: int
    """Samples that have been decoded, at the leg's rate."""
    taken: int
    """Frames that the transmitter has taken, silent ones too; from 0 again with new streams."""
    sound: int
    """Of them those that we wrote."""


def line_rate(codec_rate: int) -> int:
    """Rate of the leg for a codec's: 8000 for G.711, 16000 for everything wider."""
    return 8000 if codec_rate <= 8000 else 16000


class _Converter:
    """Mono at the leg's rate to a codec's format, or back; keeps the resampler's state across frames."""

    def __init__(self, source: Format, target: Format) -> None:
        self._source, self._target = source, target
        same = source.rate == target.rate
        self._resampler = (
            None if same else soxr.ResampleStream(source.rate, target.rate, 1, dtype="int16", quality="LQ")
        )

    def __call__(self, samples: Samples) -> Samples:
        if self._source.channels > 1:
            wide = samples.reshape(-1, self._source.channels)
            samples = (wide.sum(axis=1, dtype=np.int32) // self._source.channels).astype(np.int16)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return np.repeat(samples, self._target.channels) if self._target.channels > 1 else samples


class Line:
    """PCM of one call. Every method is safe at any time and does nothing while the call has no sound."""

    def __init__(self, audio: CallAudio) -> None:
        self._audio = audio
        self.rate = 8000
        self.codec_rate = 0
        self._formats: tuple[Format, Format] | None = None
        self._stale = False
        self._decode: _Converter | None = None
        self._encode: _Converter | None = None
        self._sent_bytes_per_sample = 2.0
        self._flushed_before = -1
        self._flush_ends = 0.0
        self._waiting: list[Samples] = []
        self._probe = _native.ffi.new("struct bp_audio_info *")
        self._written = 0  # bytes that these streams took
        self._received_bytes_per_sample = 2.0
        self.received = 0
        """Samples that `read` has given."""

    def open(self) -> bool:
        """Fix the leg's rate once both directions are up; False while they are not."""
        info = self._info()
        if info is None or not (info.tx_ready and info.rx_ready):
            return False
        self.rate, self.codec_rate = line_rate(info.rx_sample_rate), info.rx_sample_rate
        self._configure(info)
        return True

    def read(self) -> Samples:
        """Everything received since the last call, mono at `rate`."""
        if self._stale:
            self._reopen()
        if self._decode is None:
            return _NOTHING
        try:
            raw = self._audio.read(READ_BYTES)
        except AudioNotActive:
            return _NOTHING
        except AudioRestarted:
            self._restarted()
            return _NOTHING
        if not raw:
            return _NOTHING
        samples = self._decode(np.frombuffer(raw, dtype=np.int16))
        self.received += samples.size
        return samples

    def write(self, frame: Samples, now: float) -> None:
        """Queue mono samples at `rate`. What does not fit in the stack's 2 s is not sent."""
        if self._flushed_before >= 0 and not self._flush_done(now):
            self._waiting.append(frame)
            return
        self._send(frame)

    def buffered(self, now: float) -> int:
        """Samples (at `rate`) written that the transmitter has not taken."""
        if self._flushed_before >= 0 and not self._flush_done(now):
            return sum(frame.size for frame in self._waiting)
        # The library's `info` makes a record of eleven fields of it, which is much for a question of every tick.
        if _native.lib.bp_audio_probe(self._audio._handle, self._probe) != 0:
            return 0
        return int(self._probe.tx_fill / self._sent_bytes_per_sample)

    def clear(self, now: float) -> int:
        """Throw away what the transmitter has not taken; returns how many samples."""
        thrown_away = self.buffered(now)
        self._waiting = []
        if thrown_away and self._flushed_before < 0:
            try:
                self._flushed_before = self._audio.stats().tx_flushed_bytes
                self._audio.flush_tx()
            except (AudioNotActive, AudioRestarted):
                self._flushed_before = -1
            self._flush_ends = now + FLUSH_SECONDS
        return thrown_away

    def starved(self) -> int:
        """Frames that left incomplete because nothing more was written in time."""
        try:
            return int(self._audio.stats().tx_starved_frames)
        except AudioNotActive:
            return 0

    def counts(self) -> Counts | None:
        """None while the call has no sound."""
        try:
            stats = self._audio.stats()
        except AudioNotActive:
            return None
        frame = FRAME_SECONDS * self.rate * self._sent_bytes_per_sample
        sound = int((self._written - stats.tx_flushed_bytes - stats.tx_buffered) / frame)
        waiting = int(stats.rx_buffered / self._received_bytes_per_sample)
        return Counts(self.received + waiting, stats.tx_silence_frames + stats.tx_starved_frames + sound, sound)

    def _flush_done(self, now: float) -> bool:
        """Whether the transmitter has done a flush; sends what was written meanwhile."""
        if now < self._flush_ends:
            try:
                if self._audio.stats().tx_flushed_bytes == self._flushed_before:
                    return False
            except AudioNotActive:
                pass
        self._flushed_before = -1
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            self._send(frame)
        return True

    def _send(self, frame: Samples) -> None:
        if self._encode is None:
            return
        pcm = self._encode(frame).tobytes()
        try:
            self._written += self._audio.write(pcm)
        except AudioRestarted:
            self._restarted()
            self._send_again(pcm)
        except AudioNotActive:
            return

    def _send_again(self, pcm: bytes) -> None:
        """The streams were new; the second write is bound to them."""
        try:
            self._written += self._audio.write(pcm)
        except (AudioNotActive, AudioRestarted):
            return

    def _restarted(self) -> None:
        self._stale = True
        self._written = 0

    def _info(self) -> AudioInfo | None:
        try:
            return self._audio.info()
        except AudioNotActive:
            return None

    def _reopen(self) -> None:
        """The streams were replaced by a re-INVITE, perhaps with another codec; the leg's rate stays."""
        info = self._info()
        if info is not None and info.tx_ready and info.rx_ready:
            self._stale = False
            self._configure(info)

    def _configure(self, info: AudioInfo) -> None:
        received = Format(info.rx_sample_rate, info.rx_channels)
        sent = Format(info.tx_sample_rate, info.tx_channels)
        if self._formats == (received, sent):
            return
        self._formats = (received, sent)
        mono = Format(self.rate, 1)
        self._decode, self._encode = _Converter(received, mono), _Converter(mono, sent)
        self._sent_bytes_per_sample = 2.0 * sent.channels * sent.rate / self.rate
        self._received_bytes_per_sample = 2.0 * received.channels * received.rate / self.rate
