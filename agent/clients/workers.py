"""The workers of one kind: a channel each, and which of them to use next."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import grpc

from agent.clients.rotation import Rotation
from services.channels import check, connect
from services.errors import Busy, ServiceError, Unavailable

SPEECH_TO_TEXT = "trunkline.speech_to_text.v1.SpeechToText"
LANGUAGE_MODEL = "trunkline.language_model.v1.LanguageModel"
TEXT_TO_SPEECH = "trunkline.text_to_speech.v1.TextToSpeech"

OPEN_SECONDS = 1.0
"""What a worker may take from the request to `opened`."""
HEALTH_SECONDS = 1.0
"""What a health check may take."""


@dataclass(frozen=True, slots=True)
class Target:
    """One worker: its address and the connection to it."""

    name: str
    channel: grpc.aio.Channel


class Workers:
    """One channel per target (`host:port`). Belongs to the event loop; shared by all calls of a process."""

    def __init__(self, targets: tuple[str, ...], service: str) -> None:
        """`service` is the full protobuf name: SPEECH_TO_TEXT, LANGUAGE_MODEL or TEXT_TO_SPEECH."""
        self.service = service
        self._rotation = Rotation(targets)
        self._targets = {name: Target(name, connect(name)) for name in targets}

    @property
    def names(self) -> tuple[str, ...]:
        """`host:port` of each."""
        return tuple(self._targets)

    async def pick(self) -> Target:
        """The next worker to try. Waits while every one of them asked to be left alone."""
        while isinstance(choice := self._rotation.choose(_now()), float):  # noqa: ASYNC110 - it is time that passes
            await asyncio.sleep(choice)
        return self._targets[choice]

    def patience(self, target: Target) -> float:
        """Seconds that `target` may take to open a stream: less when another could take it."""
        others = [name for name in self._targets if name != target.name and self._rotation.healthy(name, _now())]
        return OPEN_SECONDS / 2 if others else OPEN_SECONDS

    async def another(self, than: Target) -> bool:
        """Whether some other worker serves; asked now."""
        others = [t for t in self._targets.values() if t is not than and self._rotation.healthy(t.name, _now())]
        answers = await asyncio.gather(*(check(other.channel, self.service, HEALTH_SECONDS) for other in others))
        return "" in answers

    def opened(self, target: Target) -> None:
        """A stream was opened there."""
        self._rotation.worked(target.name)

    def failed(self, target: Target, error: ServiceError) -> None:
        """A stream there ended with `error`."""
        if isinstance(error, Busy):
            self._rotation.busy(target.name, _now(), error.retry_after)
        else:
            self._rotation.failed(target.name, _now())

    def leaving(self, target: Target, seconds: float) -> None:
        """It drains and will be gone after `seconds`."""
        self._rotation.leaving(target.name, _now(), seconds)

    async def wait_ready(self, timeout: float) -> None:
        """Return once any of the workers is SERVING. Raises Unavailable after `timeout` seconds, saying why."""
        problems: Mapping[str, str] = {}
        try:
            async with asyncio.timeout(timeout):
                while "serving" not in (problems := await self.health()).values():  # noqa: ASYNC110 - asks others
                    await asyncio.sleep(0.1)
        except TimeoutError:
            why = "; ".join(f"{target}: {problem}" for target, problem in problems.items()) or "no answer"
            raise Unavailable(f"{self.service} did not become ready within {timeout:g} s: {why}") from None

    async def health(self) -> Mapping[str, str]:
        """Target → "serving" or what is wrong, asked now (at most 1 s). For /readyz: ready if any is serving."""
        answers = await asyncio.gather(
            *(check(target.channel, self.service, HEALTH_SECONDS) for target in self._targets.values())
        )
        return {name: answer or "serving" for name, answer in zip(self._targets, answers, strict=True)}

    async def close(self) -> None:
        """Close every channel; open streams end."""
        for target in self._targets.values():
            await target.channel.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
