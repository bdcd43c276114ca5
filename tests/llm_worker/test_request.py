"""Conversation bookkeeping: after any operations it equals a fresh one opened with the same messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_worker.checks import Limits
from llm_worker.messages import NO_RESULT, Message, Role, Sampling, ToolCall, ToolChoice, paired
from llm_worker.request import Conversation, Opening
from services.errors import InvalidRequest

TEXT = st.text(st.sampled_from("ab é👋"), max_size=8)


class AnyOperations(RuleBasedStateMachine):
    """Valid operations in any order, beside a plain list of what should stand there."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation(Opening())
        self.model: list[Message] = []
        self.provisional: set[int] = set()
        self.pieces: dict[int, list[tuple[str, int]]] = {}
        self.next_id = 1
        self.next_token = 0

    def _new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def _entry(self, message_id: int) -> int:
        return next(index for index, message in enumerate(self.model) if message.id == message_id)

    def _set(self, index: int, **changes: object) -> None:
        old = self.model[index]
        fields = {name: getattr(old, name) for name in Message.__slots__}
        self.model[index] = Message(**{**fields, **changes})  # type: ignore[arg-type]

    @rule(text=TEXT, role=st.sampled_from([Role.USER, Role.SYSTEM]), provisional=st.booleans())
    def append(self, text: str, role: Role, provisional: bool) -> None:
        message = Message(self._new_id(), role, text)
        self.conversation.append(message, provisional)
        self.model.append(message)
        if provisional:
            self.provisional.add(message.id)

    @precondition(lambda self: self.model and self.model[-1].id in self.provisional)
    @rule(text=TEXT, provisional=st.booleans())
    def grow(self, text: str, provisional: bool) -> None:
        last = self.model[-1]
        self.conversation.append(Message(last.id, last.role, text), provisional)
        self._set(-1, text=last.text + text)
        if not provisional:
            self.provisional.remove(last.id)

    @precondition(lambda self: self.provisional)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.provisional)))
        self.conversation.commit(message_id)
        self.provisional.remove(message_id)

    @precondition(lambda self: self.provisional)
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from(sorted(self.provisional)))
        gone = {message.id for message in self.model[self._entry(message_id) :]}
        running = self.conversation.running
        assert self.conversation.retract(message_id) == (running if running in gone else None)
        self.model = [message for message in self.model if message.id not in gone]
        self.provisional -= gone

    @precondition(lambda self: self.conversation.running is None)
    @rule()
    def generate(self) -> None:
        generation_id = self._new_id()
        before = self.conversation.history()
        assert self.conversation.begin(generation_id, Sampling()).messages == before
        self.model.append(Message(generation_id, Role.ASSISTANT))
        self.pieces[generation_id] = []

    @precondition(lambda self: self.conversation.running is not None)
    @rule(text=st.text(st.sampled_from("xyz 👋"), min_size=1, max_size=4))
    def say(self, text: str) -> None:
        self.next_token += 1
        running = self.conversation.running
        assert running is not None
        self.conversation.add_text(text, (self.next_token,))
        self.pieces[running].append((text, self.next_token))
        self._expect_pieces(running)

    def _expect_pieces(self, generation_id: int) -> None:
        kept = self.pieces[generation_id]
        self._set(
            self._entry(generation_id),
            text="".join(text for text, _ in kept),
            token_ids=tuple(token for _, token in kept),
        )

    @precondition(lambda self: self.conversation.running is not None)
    @rule()
    def call(self) -> None:
        running = self.conversation.running
        assert running is not None
        call = self.conversation.add_call("book", "{}")
        index = self._entry(running)
        self._set(index, tool_calls=(*self.model[index].tool_calls, call))

    @precondition(lambda self: any(message.tool_calls for message in self.model))
    @rule(data=st.data())
    def result(self, data: st.DataObject) -> None:
        answered = {message.tool_call_id for message in self.model}
        open_calls = [c.id for m in self.model for c in m.tool_calls if c.id not in answered]
        if open_calls:
            message = Message(self._new_id(), Role.TOOL, "{}", tool_call_id=data.draw(st.sampled_from(open_calls)))
            self.conversation.append(message, provisional=False)
            self.model.append(message)

    @precondition(lambda self: self.conversation.running is not None)
    @rule(by_itself=st.booleans())
    def end(self, by_itself: bool) -> None:
        running = self.conversation.running
        assert running is not None
        if by_itself:
            self.conversation.finish()
        else:
            assert self.conversation.stop(running) is True
        assert self.conversation.stop(running) is False

    @precondition(lambda self: any(m.role is Role.ASSISTANT for m in self.model))
    @rule(data=st.data(), keep=st.integers(0, 12))
    def truncate(self, data: st.DataObject, keep: int) -> None:
        ids = [m.id for m in self.model if m.role is Role.ASSISTANT and m.id != self.conversation.running]
        if not ids:
            return
        generation_id = data.draw(st.sampled_from(ids))
        kept = self.pieces[generation_id]
        while sum(len(text) for text, _ in kept) > keep:
            kept = kept[:-1]
        self.pieces[generation_id] = kept
        self._expect_pieces(generation_id)
        assert self.conversation.truncate(generation_id, keep) == "".join(text for text, _ in kept)

    @invariant()
    def equals_the_model(self) -> None:
        assert self.conversation.history() == tuple(self.model)

    @invariant()
    def equals_a_fresh_conversation(self) -> None:
        fresh = Conversation(Opening(history=self.conversation.history()))
        assert fresh.prompt() == self.conversation.prompt()


AnyOperations.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOperations = AnyOperations.TestCase


def user(number: int, text: str = "Hello") -> Message:
    return Message(number, Role.USER, text)


def refused(field: str):
    return pytest.raises(InvalidRequest, match=rf"^{field}: ")


def test_ids_are_used_once_also_after_a_retraction():
    conversation = Conversation(Opening(history=(user(1),)))
    conversation.append(user(2), provisional=True)
    conversation.retract(2)
    with refused("append.message_id"):
        conversation.append(user(2), provisional=True)
    with refused("generate.generation_id"):
        conversation.begin(1, Sampling())
    conversation.begin(3, Sampling())
    with refused("append.message_id"):
        conversation.append(user(3), provisional=False)


def test_committed_messages_stay_and_can_grow_but_not_become_provisional():
    conversation = Conversation(Opening())
    conversation.append(user(1, "I"), provisional=False)
    conversation.append(user(1, " am"), provisional=False)
    with refused("append.provisional"):
        conversation.append(user(1, " here"), provisional=True)
    with refused("retract.message_id"):
        conversation.retract(1)
    conversation.commit(1)
    assert conversation.history() == (user(1, "I am"),)


def test_only_the_last_message_grows_in_its_own_role():
    conversation = Conversation(Opening(history=(user(1),)))
    conversation.append(user(2), provisional=True)
    with refused("append.message_id"):
        conversation.append(user(1, "more"), provisional=False)
    with refused("append.role"):
        conversation.append(Message(2, Role.SYSTEM, "more"), provisional=True)


def test_answers_are_not_committed_or_retracted():
    conversation = Conversation(Opening(history=(user(1),)))
    conversation.begin(2, Sampling())
    with refused("commit.message_id"):
        conversation.commit(2)
    with refused("retract.message_id"):
        conversation.retract(2)
    with refused("stop.generation_id"):
        conversation.stop(9)


def test_a_result_needs_its_call_and_comes_once():
    conversation = Conversation(Opening())
    conversation.begin(1, Sampling())
    call = conversation.add_call("book", "{}")
    assert (len(call.id), call.id.isalnum()) == (9, True)
    result = Message(2, Role.TOOL, "{}", tool_call_id=call.id)
    with refused("append.text"):
        conversation.append(Message(2, Role.TOOL, "no JSON", tool_call_id=call.id), provisional=False)
    conversation.append(result, provisional=False)
    with refused("append.tool_call_id"):
        conversation.append(Message(3, Role.TOOL, "{}", tool_call_id=call.id), provisional=False)
    with refused("append.message_id"):
        conversation.append(result, provisional=False)
    assert conversation.history()[-1] == result


def test_call_ids_are_unique_and_results_stand_behind_their_calls():
    call = ToolCall("c1", "book", "{}")
    asks = Message(1, Role.ASSISTANT, tool_calls=(call,))
    with refused(r"open\.history\[1\]\.tool_calls"):
        Conversation(Opening(history=(asks, Message(2, Role.ASSISTANT, tool_calls=(call,)))))
    with refused(r"open\.history\[0\]\.tool_call_id"):
        Conversation(Opening(history=(Message(2, Role.TOOL, "{}", tool_call_id="c1"), asks)))


def test_sizes_are_limited():
    limits = Limits(messages=2, message_characters=10, history_characters=12)
    conversation = Conversation(Opening(history=(user(1, "12345678"),)), limits)
    with refused("append.text"):
        conversation.append(user(2, "12345678901"), provisional=True)
    with refused("append"):
        conversation.append(user(2, "12345"), provisional=True)
    conversation.append(user(2, "1234"), provisional=True)
    with refused("append"):
        conversation.append(user(2, "5"), provisional=True)
    conversation.retract(2)
    conversation.append(user(3, "12"), provisional=True)
    conversation.append(user(3, "34"), provisional=True)
    with refused("append"):
        conversation.append(user(4, ""), provisional=True)
    with refused("open.history"):
        Conversation(Opening(history=(user(1), user(2), user(3))), limits)


def test_an_answer_from_another_worker_can_be_cut_and_gives_up_its_ids():
    opening = Opening(history=(Message(1, Role.ASSISTANT, "Good morning", token_ids=(4, 5)),))
    conversation = Conversation(opening)
    assert conversation.truncate(1, 99) == "Good morning"
    assert conversation.history()[0].token_ids == (4, 5)
    assert conversation.truncate(1, 6) == "Good m"
    assert conversation.history()[0] == Message(1, Role.ASSISTANT, "Good m")


def test_sampling_is_overridden_value_by_value():
    usual = Sampling(temperature=0.5, stop=("a",), tool_choice=ToolChoice.AUTO)
    assert usual.overridden(Sampling(temperature=0.0, max_tokens=3)) == Sampling(
        temperature=0.0, stop=("a",), max_tokens=3, tool_choice=ToolChoice.AUTO
    )


@given(st.permutations(["r1", "r2", "user"]))
def test_results_are_paired_with_their_calls_in_the_order_of_the_calls(order):
    calls = (ToolCall("c1", "find", "{}"), ToolCall("c2", "find", "{}"), ToolCall("c3", "find", "{}"))
    asks = Message(1, Role.ASSISTANT, tool_calls=calls)
    later = {
        "r1": Message(2, Role.TOOL, "1", tool_call_id="c1"),
        "r2": Message(3, Role.TOOL, "2", tool_call_id="c2"),
        "user": user(4),
    }
    lined_up = paired([asks, Message(9, Role.ASSISTANT), *(later[name] for name in order)])
    assert lined_up == [asks, later["r1"], later["r2"], Message(1, Role.TOOL, NO_RESULT, tool_call_id="c3"), user(4)]
