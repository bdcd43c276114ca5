"""A language model that keeps the contract strictly and repeats what it is told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from protos import language_model_pb2 as llm
from protos import language_model_pb2_grpc as llm_grpc
from services.errors import InvalidRequest, translated
from tests.agent.clients.scripted_base import Base


class Model(Base, llm_grpc.LanguageModelServicer):
    """Repeats the last message, word by word; a message `call NAME` is answered by a tool call. `pace`: seconds."""

    pace = 0.0
    last: "Talk | None" = None
    """The conversation of the stream that ended last."""

    @translated
    async def Converse(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        talk = Talk()
        running: dict[int, asyncio.Task[None]] = {}

        async def generate(number: int, out: Any) -> None:
            text = talk.last_text()
            reason = llm.FINISH_REASON_END
            if text.startswith("call "):
                call = llm.ToolCall(id=f"c{number}", name=text.split()[1], arguments_json="{}")
                talk.entry(number).tool_calls.append(call)
                asked = llm.ToolCallRequest(generation_id=number, call=call)
                out.put_nowait(llm.ConverseResponse(tool_call=asked))
                reason = llm.FINISH_REASON_TOOL_CALLS
            else:
                for word in text.split():
                    await asyncio.sleep(self.pace)
                    await self.faults.release()
                    talk.entry(number).text += word + " "
                    delta = llm.TextDelta(generation_id=number, text=word + " ", token_ids=[len(word)])
                    out.put_nowait(llm.ConverseResponse(text=delta))
            talk.running = None
            out.put_nowait(llm.ConverseResponse(done=llm.Done(generation_id=number, reason=reason)))

        async def halt(number: int, out: Any) -> None:
            if talk.running == number:
                talk.running = None
                running[number].cancel()
                done = llm.Done(generation_id=number, reason=llm.FINISH_REASON_STOPPED)
                out.put_nowait(llm.ConverseResponse(done=done))

        async def handle(request: Any, out: Any) -> None:
            match request.WhichOneof("message"):
                case "open":
                    talk.open(request.open)
                case "append":
                    talk.append(request.append)
                    done = llm.Prefilled(message_id=request.append.message_id, tokens=1)
                    out.put_nowait(llm.ConverseResponse(prefilled=done))
                case "commit":
                    talk.provisional.discard(request.commit.message_id)
                case "retract":
                    if talk.running is not None and talk.running in talk.following(request.retract.message_id):
                        await halt(talk.running, out)
                    talk.retract(request.retract.message_id)
                case "generate":
                    number = request.generate.generation_id
                    talk.begin(number)
                    running[number] = asyncio.create_task(generate(number, out))
                case "stop":
                    await halt(request.stop.generation_id, out)
                case "truncate":
                    number = request.truncate.generation_id
                    await halt(number, out)
                    kept = talk.truncate(number, request.truncate.keep_code_points)
                    answer = llm.Truncated(generation_id=number, kept_text=kept)
                    out.put_nowait(llm.ConverseResponse(truncated=answer))

        try:
            opened = llm.ConverseResponse(opened=llm.Opened(model="scripted"))
            async for response in self.serve(requests, handle, opened, lambda d: llm.ConverseResponse(draining=d)):
                yield response
        finally:
            self.last = talk
            for task in running.values():
                task.cancel()


class Talk:
    """The rules of the contract about the history."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.provisional: set[int] = set()
        self.running: int | None = None

    def texts(self) -> list[tuple[int, str]]:
        return [(m.id, m.text or "".join(c.name for c in m.tool_calls)) for m in self.messages]

    def open(self, opening: Any) -> None:
        for message in opening.history:
            if any(message.id == other.id for other in self.messages):
                raise InvalidRequest("open.history", f"{message.id} twice")
            if message.role == llm.ROLE_ASSISTANT and not message.text and not message.tool_calls:
                raise InvalidRequest("open.history", f"{message.id} is empty")
            self.messages.append(message)

    def entry(self, number: int) -> Any:
        for message in self.messages:
            if message.id == number:
                return message
        raise InvalidRequest("id", f"{number} is unknown")

    def following(self, number: int) -> list[int]:
        ids = [m.id for m in self.messages]
        return ids[ids.index(number) :]

    def last_text(self) -> str:
        return [m.text for m in self.messages if m.role in (llm.ROLE_USER, llm.ROLE_TOOL)][-1]

    def append(self, append: Any) -> None:
        known = [m for m in self.messages if m.id == append.message_id]
        if known:
            if known[0] is not self.messages[-1]:
                raise InvalidRequest("append", "is not the last message")
            known[0].text += append.text
        else:
            if append.role == llm.ROLE_ASSISTANT:
                raise InvalidRequest("append.role", "assistant")
            self.messages.append(llm.Message(id=append.message_id, role=append.role, text=append.text))
            if append.provisional:
                self.provisional.add(append.message_id)
        if not append.provisional:
            self.provisional.discard(append.message_id)

    def retract(self, number: int) -> None:
        if number not in self.provisional:
            raise InvalidRequest("retract", f"{number} is not provisional")
        gone = self.following(number)
        self.messages = [m for m in self.messages if m.id not in gone]
        self.provisional -= set(gone)

    def begin(self, number: int) -> None:
        if self.running is not None or any(m.id == number for m in self.messages):
            raise InvalidRequest("generate", f"{number} while {self.running} runs, or taken")
        self.running = number
        self.messages.append(llm.Message(id=number, role=llm.ROLE_ASSISTANT))

    def truncate(self, number: int, keep: int) -> str:
        message = self.entry(number)
        if message.role != llm.ROLE_ASSISTANT:
            raise InvalidRequest("truncate", "no answer")
        # Tokens are words here: rounded down to the start of one.
        kept = message.text[:keep]
        if keep < len(message.text):
            kept = kept[: kept.rfind(" ") + 1]
        message.text = kept
        return kept
