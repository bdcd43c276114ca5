"""The chat format of the family, version 15: what a history is as token ids. PURE.

    <s> [SYSTEM_PROMPT]…[/SYSTEM_PROMPT] [AVAILABLE_TOOLS]…[/AVAILABLE_TOOLS] [MODEL_SETTINGS]…[/MODEL_SETTINGS]
    [SYSTEM_PROMPT]date and time[/SYSTEM_PROMPT] [INST]…[/INST] answer</s> [INST]…[/INST]
    [TOOL_CALLS]name[ARGS]{…}[TOOL_CALLS]name[ARGS]{…}</s> [TOOL_RESULTS]…[/TOOL_RESULTS][TOOL_RESULTS]…[/TOOL_RESULTS]

(spaces and line ends around control tokens are for the reader only.) The ids are a function of the prompt, so a history
that is opened again gives the same; and a prompt that goes on where another ended begins with the other's ids, but for
the few that docs/language-model.md names.
"""

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from llm_worker.messages import Message, Prompt, Role, Tool, ToolCall, paired
from llm_worker.setting import setting
from llm_worker.text import tokenizer as names
from llm_worker.text.tokenizer import Tokenizer, settled

_BLANK_LINE = "\n\n"
_REMEMBERED, _CHECKED = 4096, 1024  # texts whose ids are kept, ids whose text is known
_LONGEST = 8000  # characters of such a text: memory has a bound
_ENDS = {
    names.SYSTEM: names.SYSTEM_END,
    names.TOOLS: names.TOOLS_END,
    names.SETTINGS: names.SETTINGS_END,
    names.INST: names.INST_END,
    names.RESULT: names.RESULT_END,
}
_Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as ids. The first `settled` of them stay when the conversation goes on: all but the last word of a
    caller who may still be speaking, and what follows a result that can still come.

    `answers` are the ranges of ids that the model said, or should have said: what training teaches.
    """

    ids: list[int]
    settled: int
    answers: list[range]


class ChatFormat:
    """Renders prompts for one vocabulary."""

    def __init__(self, tokenizer: Tokenizer, effort: Literal["none", "high"] = "none") -> None:
        """`effort`: how much the model reasons before it answers, a setting that it was trained with.

        Raises TokenizerError where the vocabulary lacks a control token of the format.
        """
        self._tokenizer = tokenizer
        self._settings = json.dumps({"reasoning_effort": effort})
        # Every operation renders the whole history; only what is new in it costs.
        self._remembered = lru_cache(_REMEMBERED)(self._encoded)
        self._makes = lru_cache(_CHECKED)(self._decodes_to)
        self._call_id, self._args = tokenizer.control(names.CALL), tokenizer.control(names.ARGS)
        for name in (names.BOS, names.EOS, *_ENDS, *_ENDS.values()):
            tokenizer.control(name)

    @property
    def call_id(self) -> int:
        """The control token that a call begins with."""
        return self._call_id

    def render(self, prompt: Prompt, answer: bool = False) -> Rendered:
        """The ids of a prompt whose last message can still grow; with `answer`, of one that is answered next.

        Ids of the record are used where they decode to the message's text, and else the text is encoded: the record
        can be of another model.
        """
        page = _Page(self._tokenizer, self._encode)
        page.control(names.BOS)
        answered = {message.tool_call_id for message in prompt.messages if message.role is Role.TOOL}
        blocks = _blocks(prompt.messages, None if answer else answered)
        lead = next((n for n, block in enumerate(blocks) if block[0].role is not Role.SYSTEM), len(blocks))
        for number, block in enumerate(blocks):
            if number == lead:
                self._head(page, prompt)
            last = number == len(blocks) - 1
            match block[0].role:
                case Role.SYSTEM:
                    page.block(names.SYSTEM, block[0].text)
                case Role.USER:
                    text = _BLANK_LINE.join(each.text for each in block)
                    page.block(names.INST, text, grows=last and not answer)
                case Role.TOOL:
                    if block[0].tool_call_id not in answered:
                        page.settle()  # a result that comes late takes the place of this one
                    page.block(names.RESULT, block[0].text)
                case Role.ASSISTANT:
                    self._said(page, block, goes_on=last and answer)
        if lead == len(blocks):
            self._head(page, prompt)
        return page.rendered()

    def _head(self, page: "_Page", prompt: Prompt) -> None:
        """What follows the first system messages, whoever speaks first."""
        if prompt.tools:
            page.block(names.TOOLS, tools_json(prompt.tools))
        page.block(names.SETTINGS, self._settings)
        if now := setting(prompt.now, prompt.language):
            page.block(names.SYSTEM, now)

    def _said(self, page: "_Page", messages: Sequence[Message], goes_on: bool) -> None:
        """Answers with nothing between them are one, with blank lines; `goes_on`: the next one is to follow."""
        begin = len(page.ids)
        parts: list[str | tuple[int, ...]] = []
        for message in messages:
            if message.text:
                parts += [_BLANK_LINE] * bool(parts)
                parts.append(message.token_ids if self._is_said(message) else message.text)
        calls = [call for message in messages for call in message.tool_calls]
        if goes_on:
            parts.append(_BLANK_LINE)
        elif parts and isinstance(parts[-1], str):
            parts[-1] = parts[-1].rstrip(" ")  # as the family is trained
        page.parts(parts)
        for call in calls:
            page.parts(self._call(call))
        if not goes_on:
            page.control(names.EOS)
        page.answers.append(range(begin, len(page.ids)))

    def _call(self, call: ToolCall) -> list[str | tuple[int, ...]]:
        """The call's control token, its name, another control token, its arguments."""
        if call.token_ids[:1] == (self._call_id,) and call.token_ids.count(self._args) == 1:
            cut = call.token_ids.index(self._args)
            name, arguments = call.token_ids[1:cut], call.token_ids[cut + 1 :]
            if self._makes(name, call.name) and self._makes(arguments, call.arguments):
                return [call.token_ids]
        return [(self._call_id,), call.name, (self._args,), call.arguments]

    def _is_said(self, message: Message) -> bool:
        """Whether the message has ids that can stand for its text."""
        check = self._makes if len(message.text) <= _LONGEST else self._decodes_to
        return bool(message.token_ids) and check(message.token_ids, message.text)

    def _encode(self, text: str) -> Sequence[int]:
        return (self._remembered if len(text) <= _LONGEST else self._encoded)(text)

    def _encoded(self, text: str) -> Sequence[int]:
        return array("i", self._tokenizer.encode(text))

    def _decodes_to(self, ids: tuple[int, ...], text: str) -> bool:
        """Whether ids, ordinary ones only, make exactly `text`."""
        tokenizer = self._tokenizer
        if ids and not (tokenizer.controls <= min(ids) <= max(ids) < tokenizer.size):
            return False
        return tokenizer.decode(ids) == text.encode("utf-8", "replace")


class _Page:
    """Ids one after the other. What is settled is a beginning of them: the first call of `settle` counts."""

    def __init__(self, tokenizer: Tokenizer, encode: _Encode) -> None:
        self.ids: list[int] = []
        self.answers: list[range] = []
        self._settled: int | None = None
        self._tokenizer = tokenizer
        self._encode = encode

    def control(self, name: str) -> None:
        self.ids.append(self._tokenizer.control(name))

    def block(self, begin: str, text: str, grows: bool = False) -> None:
        """Text between control tokens; what `grows` has no end yet and is settled up to its last word."""
        self.control(begin)
        if grows:
            self.settle(len(self._encode(text[: settled(text)])))
        self.ids += self._encode(text)
        if not grows:
            self.control(_ENDS[begin])

    def parts(self, parts: Sequence[str | tuple[int, ...]]) -> None:
        """Ids as they are; texts that follow each other are encoded as one."""
        joined: list[str | tuple[int, ...]] = []
        for part in parts:
            if joined and isinstance(part, str) and isinstance(joined[-1], str):
                joined[-1] += part
            else:
                joined.append(part)
        for part in joined:
            self.ids += self._encode(part) if isinstance(part, str) else part

    def settle(self, more: int = 0) -> None:
        """Only what stands here, and `more` ids, will stay."""
        if self._settled is None:
            self._settled = len(self.ids) + more

    def rendered(self) -> Rendered:
        return Rendered(self.ids, len(self.ids) if self._settled is None else self._settled, self.answers)


def tools_json(tools: Sequence[Tool]) -> str:
    """The tools as models of the family are told of them: a JSON list, with non-ASCII as it is."""
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)} for tool in tools
    ]
    return json.dumps([{"type": "function", "function": function} for function in functions], ensure_ascii=False)


def _blocks(messages: Sequence[Message], answered: set[str] | None) -> list[list[Message]]:
    """Each call followed by its result, empty messages left out, neighbours of user and of assistant together.

    With `answered`, the calls that have their result, results at the end that are still to come are left open.
    """
    history = [each for each in paired(messages) if each.text or each.role in (Role.ASSISTANT, Role.TOOL)]
    if answered is not None:
        first = len(history)
        while first and history[first - 1].role is Role.TOOL:
            first -= 1
        open_from = (n for n, each in enumerate(history) if n >= first and each.tool_call_id not in answered)
        del history[next(open_from, len(history)) :]
    blocks: list[list[Message]] = []
    for message in history:
        if blocks and message.role is blocks[-1][0].role and message.role in (Role.USER, Role.ASSISTANT):
            blocks[-1].append(message)
        else:
            blocks.append([message])
    return blocks
