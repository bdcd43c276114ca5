"""What a model may say next, as a bit per id: text, and calls whose arguments fit the tool's JSON Schema.

llguidance (MIT) computes the masks within calls; around them a few fixed masks do.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from llm_worker.messages import Tool, ToolChoice
from llm_worker.text import tokenizer as names
from llm_worker.text.chat import tools_json
from llm_worker.text.tokenizer import Tokenizer
from services.errors import InvalidRequest

Words = NDArray[np.int32]
"""A bit per id, [⌈size / 32⌉]: id `i` is bit `i % 32` of word `i // 32`."""

MOST_CALLS = 8
"""Parallel calls in one answer."""
_TOOL_SETS = 64  # kept compiled
# Arguments are written as models of the family have learnt to: as Python's json does. What a schema asks for beyond
# what grammars can hold is left to whoever acts on the call.
_STYLE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False, "lenient": True}
_PLAIN_KEYS = {"type", "properties", "required", "description", "title", "default", "examples", "$schema", "$comment"}
_LIMITS = LLParserLimits(verbose_errors=False)  # errors without the schema and without what was said


class _State(Enum):
    BEGIN = auto()
    THOUGHT = auto()
    ANSWER = auto()
    TEXT = auto()
    CALLS = auto()
    END = auto()


class Grammar:
    """What one answer may be: text, or text and calls, or calls only; each ends with the end token.

    A thought can come first where the model reasons. An answer has at least one token. Tokens with control
    characters, which no speech has, never come.
    """

    def __init__(self, masks: "_Masks", calls: LLMatcher | None, choice: ToolChoice, thinks: bool) -> None:
        self._masks = masks
        self._calls = calls
        self._choice = choice if calls else ToolChoice.NONE
        self._state = _State.BEGIN if thinks else _State.ANSWER
        self._words: Words | None = None

    @property
    def finished(self) -> bool:
        """Whether the end token has come."""
        return self._state is _State.END

    def mask(self) -> Words:
        """The ids that may come next. Not to be written to, and good until `advance`.

        Raises InvalidRequest where a tool's schema turns out to be too much work.
        """
        if self._words is None and self._state is _State.CALLS and self._calls is not None:
            # The library's mask has a bit more than there are ids: a whole word where they fill all words.
            words = np.frombuffer(self._calls.compute_bitmask(), dtype=np.int32)[: self._masks.width]
            if self._calls.is_error():
                raise InvalidRequest("open.tools", f"too much work for a grammar: {_short(self._calls.get_error())}")
            self._words = words
        elif self._words is None:
            self._words = self._masks.of(self._state, self._choice)
        return self._words

    def advance(self, token: int) -> None:
        """The id that came next. Raises ValueError for one that the mask excludes, InvalidRequest as `mask` does."""
        masks = self._masks
        if not _allows(self.mask(), token):
            raise ValueError(f"id {token} cannot come here")
        self._words = None
        if token == masks.eos:
            self._state = _State.END
        elif self._state is _State.CALLS and self._calls is not None:
            self._calls.consume_token(token)  # what goes wrong here is said by the next mask
        elif token == masks.call:
            self._state = _State.CALLS
        elif token == masks.think:
            self._state = _State.THOUGHT
        elif token == masks.thought:
            self._state = _State.ANSWER
        elif self._state is not _State.THOUGHT:
            self._state = _State.TEXT


class Grammars:
    """Makes grammars for one vocabulary; a set of tools is compiled once."""

    def __init__(self, tokenizer: Tokenizer, thinks: bool = False) -> None:
        """`thinks`: whether answers may begin with a thought. Takes half a second for 131,072 ids."""
        self._vocabulary = LLTokenizer(TokenizerWrapper(_Vocabulary(tokenizer)))
        self._masks = _Masks(tokenizer)
        self._args, self._brace = tokenizer.control(names.ARGS), tokenizer.encode("{")[0]
        self._thinks = thinks
        self._compiled = lru_cache(_TOOL_SETS)(self._compile)

    def check(self, tools: Sequence[Tool]) -> None:
        """Raises InvalidRequest for a tool whose schema cannot be a grammar, naming the field."""
        self._calls(tools)

    def grammar(self, tools: Sequence[Tool], choice: ToolChoice | None = None) -> Grammar:
        """For one answer. `choice` None is AUTO. Raises as `check` does."""
        calls = self._calls(tools).deep_copy() if tools else None
        return Grammar(self._masks, calls, choice or ToolChoice.AUTO, self._thinks)

    def _calls(self, tools: Sequence[Tool]) -> LLMatcher:
        return self._compiled(tools_json(tools))

    def _compile(self, described: str) -> LLMatcher:
        """What follows the first control token of a call, up to the end token."""
        functions = [each["function"] for each in json.loads(described)]
        rules = [self._rule(index, each["name"], each["parameters"]) for index, each in enumerate(functions)]
        more = f"(<[{self._masks.call}]> call){{0,{MOST_CALLS - 1}}}"
        matcher = self._matcher(f"start: call {more}\ncall: " + "\n  | ".join(rules))
        if matcher.is_error():
            raise InvalidRequest("open.tools", f"too much for one grammar: {_short(matcher.get_error())}")
        return matcher

    def _rule(self, index: int, name: str, parameters: Mapping[str, Any]) -> str:
        """A call of a tool; tried alone, so that an error is that tool's."""
        schema = {"x-guidance": _STYLE, **_closed(parameters)}
        arguments = f"%json {json.dumps(schema)}"
        alone = self._matcher(f"start: <[{self._args}]> {arguments}")
        if not alone.is_error():
            alone.consume_tokens([self._args, self._brace])  # here it shows what is too much work
        if alone.is_error():
            problem = _short(alone.get_error())
            raise InvalidRequest(f"open.tools[{index}].parameters_json", f"no grammar can be made of it: {problem}")
        return f'"{name}" <[{self._args}]> {arguments}'

    def _matcher(self, grammar: str) -> LLMatcher:
        return LLMatcher(self._vocabulary, grammar, log_level=0, limits=_LIMITS)


class _Masks:
    """The masks outside of calls."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.width = -(-tokenizer.size // 32)
        self.eos, self.call = tokenizer.eos, tokenizer.control(names.CALL)
        self.think, self.thought = tokenizer.control(names.THINK), tokenizer.control(names.THINK_END)
        spoken = [n for n in range(tokenizer.controls, tokenizer.size) if _is_speakable(tokenizer.decode([n]))]
        self._masks: dict[tuple[_State, ToolChoice], Words] = {}
        for choice in ToolChoice:
            calls = [] if choice is ToolChoice.NONE else [self.call]
            begin = calls if choice is ToolChoice.REQUIRED else [*calls, *spoken]
            for state, ids in {
                _State.BEGIN: [*begin, self.think],
                _State.THOUGHT: [*spoken, self.thought],
                _State.ANSWER: begin,
                _State.TEXT: [*begin, self.eos],
                _State.END: [],
            }.items():
                self._masks[state, choice] = _words(ids, tokenizer.size)

    def of(self, state: _State, choice: ToolChoice) -> Words:
        return self._masks[state, choice]


class _Vocabulary:
    """What llguidance asks of a tokenizer. It knows control tokens by number; their names are of no account."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.eos_token_id = tokenizer.eos
        self.bos_token_id = tokenizer.control(names.BOS)
        self.special_token_ids = list(range(tokenizer.controls))
        self.tokens = [
            f"<control {number}>".encode() if number < tokenizer.controls else tokenizer.decode([number])
            for number in range(tokenizer.size)
        ]
        self._encode = tokenizer.encode

    def __call__(self, text: str) -> list[int]:
        return self._encode(text)


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without arguments that it does not name: they would be allowed unless it says otherwise.

    Only for plain objects; where schemas are combined, what another part names must stay allowed.
    """
    closed = dict(schema)
    if isinstance(properties := schema.get("properties"), Mapping) and schema.keys() <= _PLAIN_KEYS:
        closed["properties"] = {
            name: _closed(each) if isinstance(each, Mapping) else each for name, each in properties.items()
        }
        closed["additionalProperties"] = False
    return closed


def _is_speakable(token: bytes) -> bool:
    """Whether a token is free of control characters; as `checks.check_text` has it."""
    text = token.decode("utf-8", "ignore")
    return not any(sign in "\x7f" or (sign < " " and sign not in "\t\n\r") or "\x80" <= sign <= "\x9f" for sign in text)


def _words(ids: Iterable[int], size: int) -> Words:
    allowed = np.zeros(-(-size // 32) * 32, dtype=np.uint8)
    allowed[list(ids)] = 1
    words = np.packbits(allowed, bitorder="little").view(np.int32)
    words.flags.writeable = False
    return words


def _allows(words: Words, token: int) -> bool:
    return 0 <= token < 32 * len(words) and bool(words[token // 32] >> token % 32 & 1)


def _short(error: str) -> str:
    """What went wrong, without where in our own text."""
    problem = error.split("JSON schema: ", 1)[-1].split("\n   1 |")[0]
    return " ".join(problem.replace("<non-verbose/>", "").split())[:200]
