"""The smallest task with a reward: a word is said, its digit is to be pressed, once."""

import json
from contextlib import aclosing
from pathlib import Path

import torch

from llm_worker.backends import Backend, Call
from llm_worker.forge.verifier import Verdict
from llm_worker.forge.vocabulary import VOCABULARY
from llm_worker.messages import Message, Prompt, Role, Sampling, Tool, ToolChoice
from llm_worker.model.checkpoint import CHECKPOINT, export
from llm_worker.model.config import shipped_config
from llm_worker.model.files import PARAMS
from llm_worker.model.network import build, randomise
from llm_worker.text.bpe import train_bpe
from llm_worker.text.chat import tools_json

WORDS = ("one", "two", "three")
PRESS = Tool("press", "", {"type": "object", "properties": {"key": {"enum": ["1", "2", "3"]}}, "required": ["key"]})
_MUST = Sampling(tool_choice=ToolChoice.REQUIRED)


class Digits:
    """Numbers name the word. One attempt is one answer."""

    async def attempt(self, number: int, held: bool, backend: Backend, sampling: Sampling) -> Verdict:
        """1 for one call with the word's digit, else 0."""
        word = number % len(WORDS)
        prompt = Prompt("", (Message(1, Role.USER, WORDS[word]),), (PRESS,), sampling.overridden(_MUST))
        dialogue = backend.open()
        async with aclosing(dialogue.generate(prompt)) as steps:
            pressed = [json.loads(step.arguments)["key"] async for step in steps if isinstance(step, Call)]
        dialogue.close()
        return Verdict(float(pressed == [str(word + 1)]))


def untrained(folder: Path) -> Path:
    """A folder with the smallest model, random, and a vocabulary for the task."""
    folder.mkdir()
    texts = [*WORDS, tools_json([PRESS]), '{"key": "1"}', '{"reasoning_effort": "none"}'] * 3
    content = train_bpe(texts, 420)
    size = content["config"]["default_vocab_size"]
    model = build(shipped_config("nano").model_copy(update={"vocab_size": size}), torch.float32, "cpu")
    with torch.no_grad():
        randomise(model, seed=1, scale=2.5)  # large enough that the words make a difference
    export(model, folder / CHECKPOINT, "f32")
    (folder / PARAMS).write_text(model.config.model_dump_json())
    (folder / VOCABULARY).write_text(json.dumps(content))
    return folder
