"""The workers of one kind: a channel each, and which of them to use next."""

from collections.abc import Mapping


class Workers:
    """One channel per target (`host:port`). Belongs to the event loop; shared by all calls of a process."""

    def __init__(self, targets: tuple[str, ...], service: str) -> None:
        """`service` is the full protobuf name, for the health check: see SPEECH_TO_TEXT, LANGUAGE_MODEL, …"""

    async def wait_ready(self, timeout: float) -> None:
        """Return once any of the workers is SERVING. Raises Unavailable after `timeout` seconds, saying why."""
        raise NotImplementedError

    async def health(self) -> Mapping[str, str]:
        """Target → "serving" or what is wrong, asked now (at most 1 s). For /readyz: ready if any is serving."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close every channel; open streams end."""
        raise NotImplementedError
