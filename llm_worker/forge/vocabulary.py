"""What a training reads: conversations of a data folder, and the vocabulary that is made from them."""

import json
import re
import shutil
from collections.abc import Iterator
from itertools import islice
from typing import Any

from llm_worker.forge.grammar import load
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.records import Conversation, read
from llm_worker.forge.trainjob import TrainJob
from llm_worker.model.config import Config, ConfigError, shipped_config
from llm_worker.model.files import read_config
from llm_worker.setting import setting
from llm_worker.text.bpe import train_bpe
from llm_worker.text.chat import tools_json
from llm_worker.text.tokenizer import Tekken, TokenizerError

VOCABULARY = "tekken.json"
_CALLS = 4000
"""Conversations that the vocabulary is made from: more change nothing."""
_LEAST = 40
"""Times that a pair of pieces has to come: coined names, which are in one conversation only, are not merged."""
_WORD = re.compile(r"[^\W\d_]+")


def vocabulary(job: TrainJob) -> dict[str, Any]:
    """That of the job's folder, or of the model it starts from, or a new one of the training data. Raises JobError."""
    job.out.mkdir(parents=True, exist_ok=True)
    path = job.out / VOCABULARY
    if job.start and not path.exists():
        try:
            Tekken.read(job.start / VOCABULARY)
            shutil.copyfile(job.start / VOCABULARY, path)
        except (TokenizerError, OSError) as problem:
            raise JobError(f"start: {problem}") from None
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    content = train_bpe(_texts(islice(conversations(job, "train"), _CALLS)), configured(job).vocab_size, _LEAST)
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n")
    return content


def conversations(job: TrainJob, split: str) -> Iterator[Conversation]:
    """Those of a file of the data folder. Raises JobError."""
    path = job.data / f"{split}.jsonl"
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield read(line)
                except ValueError as problem:
                    raise JobError(f"{path}, line {number}: {problem}") from None
    except OSError as problem:
        raise JobError(f"{path}: {problem.strerror}; make it with `data`") from None


def configured(job: TrainJob) -> Config:
    """The configuration of the model that the job starts from, or names. Raises JobError."""
    try:
        if job.start:
            return read_config(job.start)
        return shipped_config(job.config)
    except ConfigError as problem:
        raise JobError(f"{'start' if job.start else 'config'}: {problem}") from None


def _texts(made: Iterator[Conversation]) -> Iterator[str]:
    """Without the names that people have: none becomes a token of its own, so that all are copied piece by piece, as
    names must be that are in no list."""
    names = {name for kind in ("given", "family") for name in str(load("names")[kind]).split()}
    for each in made:
        for text in _said(each):
            yield _WORD.sub(lambda word: "" if word[0] in names else word[0], text)


def _said(made: Conversation) -> Iterator[str]:
    yield tools_json(made.tools)
    yield setting(made.now, made.language)
    for message in made.messages:
        yield message.text
        yield from (call.arguments for call in message.tool_calls)
