"""A call's recording: stereo WAV, caller left and agent right, placed by the clock."""

import os
import sqlite3
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agent.audio import Samples, silence
from agent.store.writer import After, Writer

BLOCK_SECONDS = 0.5
"""Sound is handed to the writer in blocks of this length: what a killed process loses at most."""
FRAME_BYTES = 4
"""Two channels of 16 bits."""
HEADER_BYTES = 44
LONGEST = (2**32 - 1 - HEADER_BYTES) // FRAME_BYTES
"""Samples: sizes in a WAV header have 32 bits. 37 hours at 8 kHz; what comes later is not recorded."""


def wav_header(rate: int, samples: int) -> bytes:
    """RIFF header of a stereo file with that many samples on each channel."""
    data = samples * FRAME_BYTES
    form = struct.pack("<HHIIHH", 1, 2, rate, rate * FRAME_BYTES, FRAME_BYTES, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + data)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", data)
    )


class _Frame(NamedTuple):
    position: int
    caller: Samples
    agent: Samples

    @property
    def end(self) -> int:
        return self.position + max(len(self.caller), len(self.agent))


class Recorder:
    """Writes one file, in the store's writer thread. A process that dies leaves a file that plays: positions in the
    file follow from positions in the call, and the header is brought up to date with each block."""

    def __init__(self, path: Path, rate: int, writer: Writer, forget: Callable[[sqlite3.Connection], None]) -> None:
        """`forget` takes the recording out of the call's record."""
        self._writer = writer
        self._forget = forget
        self._file = _File(path, rate)
        self._block: list[_Frame] = []
        self._block_samples = round(rate * BLOCK_SECONDS)
        self._paused = False
        self._closed = False

    def add(self, position: int, caller: Samples, agent: Samples) -> None:
        """20 ms that began `position` samples after the call connected. Gaps become silence; what overlaps earlier
        audio is dropped. Frames may differ in length: the shorter is filled with silence. The arrays must not be
        changed afterwards."""
        if self._closed:
            return
        if self._paused:
            caller = agent = silence(max(len(caller), len(agent)))
        self._block.append(_Frame(position, caller, agent))
        if self._block[-1].end - self._block[0].position >= self._block_samples:
            self._flush()

    def pause(self) -> None:
        """Write silence on both channels from now on."""
        self._paused = True

    def resume(self) -> None:
        """End a pause."""
        self._paused = False

    def discard(self) -> None:
        """The caller refused: delete what has been recorded and record nothing more of this call."""
        self._closed = True
        self._block = []

        def job(connection: sqlite3.Connection) -> After:
            self._forget(connection)
            return self._file.remove

        self._writer.put(job)

    def close(self) -> None:
        """Write what is buffered. Does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self._flush()
        # Not as sound: a file must be closed even when so much waits that sound is dropped.
        self._writer.put(lambda _: self._file.close())

    def _flush(self) -> None:
        block, self._block = self._block, []
        if block:
            self._writer.put(lambda _: self._file.write(block), sound=True)


def _joined(block: Sequence[_Frame], start: int, end: int) -> Samples | None:
    """Both channels (samples, 2) from `start` to `end`, where the frames follow each other without gap or overlap, as
    they nearly always do. Otherwise None."""
    expected = start
    for position, caller, agent in block:
        if position != expected or len(caller) != len(agent):
            return None
        expected += len(caller)
    if expected != end:
        return None
    sound = np.empty((end - start, 2), dtype="<i2")
    np.concatenate([frame.caller for frame in block], out=sound[:, 0])
    np.concatenate([frame.agent for frame in block], out=sound[:, 1])
    return sound


def _placed(block: Sequence[_Frame], start: int, end: int) -> Samples:
    """The same for any frames: what is missing is silence, of what overlaps the first counts."""
    sound = np.zeros((end - start, 2), dtype="<i2")
    written = start
    for frame in block:
        at, skipped = max(frame.position, written) - start, max(0, written - frame.position)
        for channel, samples in enumerate((frame.caller, frame.agent)):
            heard = samples[skipped : max(0, end - frame.position)]
            sound[at : at + len(heard), channel] = heard
        written = max(written, frame.end)
    return sound


class _File:
    """The file, in the writer's thread."""

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._descriptor: int | None = None
        self._end = 0  # samples

    def write(self, block: Sequence[_Frame]) -> None:
        start = max(self._end, block[0].position)
        end = min(LONGEST, max(frame.end for frame in block))
        if end <= start:
            return
        sound = _joined(block, start, end)
        if sound is None:
            sound = _placed(block, start, end)
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        # Data first: a header that says too little still plays, one that says too much does not everywhere.
        os.pwrite(self._descriptor, sound.tobytes(), HEADER_BYTES + start * FRAME_BYTES)
        os.pwrite(self._descriptor, wav_header(self._rate, end), 0)
        self._end = end

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)
