"""From the messages of a call to the next reply. The state is derived anew each time by replaying the call: nothing
is kept between answers, so a conversation can go on with any worker."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from llm_worker.backends.frontdesk import policy, results
from llm_worker.backends.frontdesk.state import Asked, Reply, State
from llm_worker.backends.frontdesk.tasks import Desk, Step, close, no_person, question, tell
from llm_worker.messages import Message, Role, ToolCall

_AGENT_SAID = "you said"
_OPENER = re.compile(r"^(?:Sure|Thank you|All right|Of course|Sorry, I didn't catch that)\. (?=\S)")


def respond(desk: Desk, messages: Sequence[Message]) -> Reply:
    """What to say and to ask for now."""
    replay = _Replay(desk)
    begun = False
    for message in messages:
        begun = begun or message.role is not Role.SYSTEM  # what comes before is the prompt
        if begun:
            replay.take(message)
    return replay.answer()[1]


@dataclass
class _Replay:
    """The call so far: the state after the last answer, what has come in since, and all tool calls by id."""

    desk: Desk
    state: State = field(default_factory=State)
    waiting: list[Message] = field(default_factory=list)
    calls: dict[str, ToolCall] = field(default_factory=dict)
    unfinished: tuple[State, list[Message]] | None = None
    """What an answer that was cut short began from. Asked again without anything new, it is given again, whole."""

    def take(self, message: Message) -> None:
        """Play one message more."""
        if message.role is not Role.ASSISTANT:
            self.waiting.append(message)
            return
        after, reply = self.answer()
        if self.waiting and _is_ours(message, reply):
            whole = message.text.rstrip() == reply.text and bool(message.tool_calls) == bool(reply.calls)
            self.unfinished = None if whole else (self.state, self.waiting)
            self.state, self.waiting = _said(self.state, after, reply, message), []
        elif message.text and not self.waiting:
            self.state = replace(self.state, last=message.text)  # a greeting, or a phrase that the agent had ready
        self.calls |= {call.id: call for call in message.tool_calls}

    def answer(self) -> tuple[State, Reply]:
        """The reply now, and the state once it is said."""
        if self.unfinished is not None and not any(_is_new(message) for message in self.waiting):
            self.state, began = self.unfinished
            self.waiting = [*began, *self.waiting]
        self.unfinished = None
        return _answer(self.desk, self.state, self.waiting, self.calls)


def _is_new(message: Message) -> bool:
    """Whether there is something to answer in it."""
    return message.role is not Role.SYSTEM or _hinted(message.text) is not None


def _is_ours(message: Message, reply: Reply) -> bool:
    """Whether the message is (the beginning of) the reply, and not something that was put in beside it."""
    return bool(message.tool_calls) or reply.text.startswith(message.text.rstrip())


def _said(before: State, after: State, reply: Reply, message: Message) -> State:
    """The state once the reply, or as much of it as the message holds, was said."""
    if reply.calls and not message.tool_calls:
        # It was stopped before it asked for anything: what was about to be done has not been.
        after = replace(after, asked=before.asked, task=before.task or after.task)
    kept = message.text.rstrip()
    sentences = re.split(r"(?<=[.?!])\s+", reply.text)
    needed = len(" ".join(sentences[:-1]))
    return replace(
        after,
        heard=len(kept) >= needed and bool(kept or not reply.text),
        last=_OPENER.sub("", reply.text) or after.last,
    )


def _answer(desk: Desk, state: State, waiting: Sequence[Message], calls: dict[str, ToolCall]) -> tuple[State, Reply]:
    """The reply to everything that has come in: results first, then words, then hints of the agent."""
    texts: list[str] = []
    asked_for = Reply()
    settled = False  # a result has been answered
    for message in waiting:
        if message.role is Role.TOOL and message.tool_call_id in calls:
            state, asked_for = results.answer(desk, state, calls[message.tool_call_id], message.text)
            settled = settled or not results.undone(message.text)
            texts.append(asked_for.text)
    spoken = [message.text for message in waiting if message.role is Role.USER]
    told = [message.text for message in waiting if message.role is Role.SYSTEM]
    hints = [step for text in told if (step := _hinted(text))]
    if any(text.lower().startswith(_AGENT_SAID) and "?" in text for text in told):
        state = replace(state, heard=False)  # a "yes" can be the answer to "are you still there?"
    if spoken and not (settled and _is_filler(" ".join(spoken))):
        state, asked_for = policy.hear_out(desk, state, " ".join(spoken).strip())
        texts.append(asked_for.text)
    elif hints and not settled:
        state, asked_for = hints[-1](desk, state)
        texts.append(asked_for.text)
    elif not settled:
        state, asked_for = tell(state, question(state), state.asked) if state.last else _greet(desk, state)
        texts.append(asked_for.text)
    return state, Reply(" ".join(text for text in texts if text), asked_for.calls)


def _is_filler(words: str) -> bool:
    """Words said while a tool was at work that ask for nothing."""
    return bool(
        re.fullmatch(r"(?i)[\W\d]*(?:(?:ok|okay|thanks|thank you|sure|yes|yeah|great|hello|mm+|um+|uh+)\W*)+", words)
    )


def _hinted(hint: str) -> Callable[[Desk, State], Step] | None:
    """What a system message in the middle of a call asks for; None when it only tells, e.g. what the agent has said
    in words of its own."""
    hint = hint.lower()
    if hint.startswith(_AGENT_SAID):
        return None
    if re.search(r"\btime (?:is over|is up|limit)|\bmaximum\b|\bend the call\b|\bsay goodbye\b", hint):
        return close
    if re.search(r"\btransfer\b.*\bfail|\bnobody answered\b|\bcould not be reached\b", hint):
        return lambda desk, state: no_person(desk, state, "I'm sorry, I can't reach anybody right now.")
    if re.search(r"\bgreet(?:ing)?\b", hint):
        return _greet
    return policy.silent if re.search(r"\bsilen(?:t|ce)\b|\bnot (?:said|spoken)\b|\bquiet\b", hint) else None


def _greet(desk: Desk, state: State) -> Step:
    return tell(state, f"Hello, {desk.practice.name}. How can I help you?", Asked.NOTHING)
