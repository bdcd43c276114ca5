"""A call's recording: stereo WAV, caller left and agent right, placed by the clock."""

from agent.audio import Samples


class Recorder:
    """Writes one file, in the store's writer thread. A process that dies leaves a file that plays."""

    def add(self, position: int, caller: Samples, agent: Samples) -> None:
        """20 ms that began `position` samples after the call connected. Gaps become silence; what overlaps earlier
        audio is dropped. Frames may differ in length: the shorter is filled with silence."""
        raise NotImplementedError

    def pause(self) -> None:
        """Write silence on both channels from now on."""
        raise NotImplementedError

    def resume(self) -> None:
        """End a pause."""
        raise NotImplementedError

    def discard(self) -> None:
        """The caller refused: delete what has been recorded and record nothing more of this call."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what is buffered. Does nothing the second time."""
        raise NotImplementedError
