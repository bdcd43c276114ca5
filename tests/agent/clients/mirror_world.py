"""A mirror, a strict worker, and everything that can happen between them, one step at a time."""

from collections import deque
from typing import Any

from agent.clients.llm_wire import decode, encode, encode_open
from agent.clients.mirror import Mirror, Step
from agent.clients.types import Done, GenerationLost, Message, Opening, Role
from protos import language_model_pb2 as pb
from tests.agent.clients.scripted_llm import Talk


class Worker:
    """Synchronous, with queues both ways, so that operations and results can cross."""

    def __init__(self) -> None:
        self.talk = Talk()
        self.incoming: deque[Any] = deque()
        self.outgoing: deque[Any] = deque()

    def take(self) -> None:
        """Act on one request, if there is one."""
        if not self.incoming:
            return
        request = self.incoming.popleft()
        talk = self.talk
        match request.WhichOneof("message"):
            case "open":
                talk.open(request.open)
            case "append":
                talk.append(request.append)
            case "commit":
                talk.entry(request.commit.message_id)
                talk.provisional.discard(request.commit.message_id)
            case "retract":
                number = request.retract.message_id
                if talk.running is not None and talk.running in talk.following(number):
                    self.halt(talk.running)
                talk.retract(number)
            case "generate":
                talk.begin(request.generate.generation_id)
            case "stop":
                self.halt(request.stop.generation_id)
            case "truncate":
                number = request.truncate.generation_id
                self.halt(number)
                kept = talk.truncate(number, request.truncate.keep_code_points)
                self.outgoing.append(pb.ConverseResponse(truncated=pb.Truncated(generation_id=number, kept_text=kept)))

    def halt(self, number: int) -> None:
        if self.talk.running == number:
            self.talk.running = None
            done = pb.Done(generation_id=number, reason=pb.FINISH_REASON_STOPPED)
            self.outgoing.append(pb.ConverseResponse(done=done))

    def speak(self, word: str) -> None:
        if (number := self.talk.running) is not None:
            self.talk.entry(number).text += word
            delta = pb.TextDelta(generation_id=number, text=word, token_ids=[len(word)])
            self.outgoing.append(pb.ConverseResponse(text=delta))

    def call(self) -> None:
        if (number := self.talk.running) is not None:
            call = pb.ToolCall(id=f"{number}-{len(self.talk.entry(number).tool_calls)}", name="look")
            self.talk.entry(number).tool_calls.append(call)
            asked = pb.ToolCallRequest(generation_id=number, call=call)
            self.outgoing.append(pb.ConverseResponse(tool_call=asked))

    def finish(self) -> None:
        if (number := self.talk.running) is not None:
            self.talk.running = None
            self.outgoing.append(pb.ConverseResponse(done=pb.Done(generation_id=number, reason=pb.FINISH_REASON_END)))


class World:
    """A mirror, perhaps a worker, and what the call has been told."""

    def __init__(self) -> None:
        self.mirror = Mirror((Message(1, Role.SYSTEM, "Be brief."),))
        self.worker: Worker | None = None
        self.accepted = False
        self.next_id = 2
        self.asked: set[int] = set()
        self.settled: list[int] = []

    def do(self, step: Step) -> None:
        if self.worker:
            self.worker.incoming.extend(map(encode, step.send))
        self.hear(*step.events)
        if step.restart:
            self.lose()
            self.open()

    def hear(self, *events: Any) -> None:
        for event in events:
            if isinstance(event, Done | GenerationLost):
                self.settled.append(event.generation_id)

    def open(self) -> None:
        if self.worker is None:
            self.worker, self.accepted = Worker(), False
            history, operations = self.mirror.opening()
            self.worker.incoming.append(encode_open("c", Opening(), history))
            self.worker.incoming.extend(map(encode, operations))

    def accept(self) -> None:
        if self.worker and not self.accepted:
            self.accepted = True
            self.mirror.opened()

    def lose(self) -> None:
        if self.worker:
            self.worker = None
            self.hear(*self.mirror.lost(self.accepted))

    def deliver(self) -> None:
        if self.worker and self.worker.outgoing:
            self.accept()
            event: Any = decode(self.worker.outgoing.popleft())
            if (mine := self.mirror.received(event)) is not None:
                self.hear(mine)

    def act(self, action: str, number: int) -> None:
        ids = [message.id for message in self.mirror.history() if message.role is Role.ASSISTANT]
        users = [m for m in self.mirror.history() if m.role is Role.USER]
        provisional = [m.id for m in users if self.mirror._entries[m.id].provisional]
        match action:
            case "append":
                self.do(self.mirror.append(Message(self.new_id(), Role.USER, "word "), provisional=number % 3 > 0))
            case "more" if users and next(reversed(self.mirror._entries)) == users[-1].id:
                provisional_still = users[-1].id in provisional
                self.do(self.mirror.append(Message(users[-1].id, Role.USER, "more "), provisional_still))
            case "commit" if provisional:
                self.do(self.mirror.commit(provisional[number % len(provisional)]))
            case "retract" if provisional:
                self.do(self.mirror.retract(provisional[number % len(provisional)]))
            case "generate" if self.mirror.running is None:
                generation = self.new_id()
                self.asked.add(generation)
                self.do(self.mirror.generate(generation, None))
            case "stop" if self.mirror.running:
                self.do(self.mirror.stop(self.mirror.running))
            case "truncate" if ids or self.mirror.running:
                self.do(self.mirror.truncate(ids[number % len(ids)] if ids else self.mirror.running or 0, number))
            case "unreachable" if self.worker is None:
                self.hear(*self.mirror.unreachable("gone"))
            case "lose":
                self.lose()
            case "move":
                self.lose()
                self.open()
            case "open":
                self.open()
            case "take" if self.worker:
                self.worker.take()
            case "speak" | "call" | "finish" if self.worker:
                getattr(self.worker, action)(*(["wörd "] if action == "speak" else []))
            case "deliver" | "answer":
                getattr(self, action)()

    def answer(self) -> None:
        """A provisional question is answered whole."""
        if self.worker and self.mirror.running is None:
            for action in ("append", "generate", *["take"] * 20, "speak", "finish", *["deliver"] * 20):
                self.act(action, 1)

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def settle(self) -> None:
        """Let everything arrive."""
        self.open()
        self.accept()
        assert self.worker
        while self.worker.incoming or self.worker.outgoing or self.worker.talk.running:
            self.worker.take()
            if not self.worker.incoming:
                self.worker.finish()
            self.deliver()
