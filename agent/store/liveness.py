"""Which agent processes are alive, told by file locks: the kernel lets go of a lock when its holder dies, however."""

import fcntl
import os
import uuid
from pathlib import Path


class ProcessMark:
    """The lock of this process; `id` goes into the rows it owns."""

    def __init__(self, directory: Path) -> None:
        """Take a lock in `directory`, which is made. Raises OSError."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.id, self._file = self._take()

    def _take(self) -> tuple[str, int]:
        while True:
            process = uuid.uuid4().hex
            file = os.open(self._path(process), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            # Another process that tidied up between these two lines took the mark for a dead one's.
            if self._path(process).exists():
                return process, file
            os.close(file)

    def alive(self, process: str) -> bool:
        """Whether the process with that id still runs. Removes the mark of a dead one."""
        if process == self.id:
            return True
        try:
            file = os.open(self._path(process), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            self._path(process).unlink(missing_ok=True)
            return False
        finally:
            os.close(file)

    def tidy(self) -> None:
        """Remove the marks of all dead processes."""
        for mark in self._directory.glob("*.lock"):
            self.alive(mark.stem)

    def close(self) -> None:
        """Let go: the process has left nothing unfinished."""
        self._path(self.id).unlink(missing_ok=True)
        os.close(self._file)

    def _path(self, process: str) -> Path:
        return self._directory / f"{process}.lock"
