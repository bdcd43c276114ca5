"""Whether a call is recorded: started by definition or consent, ended for good by a refusal."""

from agent.audio import Samples
from agent.store import CallRecord, Recorder


class Recording:
    """One call's recording. `frame` may be called always; it does what is allowed."""

    def __init__(self, record: CallRecord, rate: int) -> None:
        self._record = record
        self._rate = rate
        self._recorder: Recorder | None = None
        self._refused = False

    def start(self) -> None:
        """The caller knows of it, or agreed."""
        if self._recorder is None and not self._refused:
            self._recorder = self._record.recorder(self._rate)

    def refuse(self) -> bool:
        """The caller does not want it: nothing of it stays. Returns whether that is new."""
        known, self._refused = self._refused, True
        if self._recorder is not None:
            self._recorder.discard()
            self._recorder = None
        return not known

    def mask(self, hide: bool) -> None:
        """While the caller presses keys that must not be kept."""
        if self._recorder is not None:
            (self._recorder.pause if hide else self._recorder.resume)()

    def frame(self, position: int, caller: Samples, agent: Samples) -> None:
        """20 ms of both sides, `position` samples after the call connected."""
        if self._recorder is not None:
            self._recorder.add(position, caller, agent)

    def close(self) -> None:
        """The call is over."""
        if self._recorder is not None:
            self._recorder.close()
