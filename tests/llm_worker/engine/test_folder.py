"""A model's folder becomes an engine, or a line that says why not."""

import asyncio
import json
import os
import sys
from contextlib import aclosing

import pytest

from llm_worker.backends import Finished
from llm_worker.backends.folder import engine
from llm_worker.config import LlmSettings
from llm_worker.messages import Message, Prompt, Role, Sampling
from llm_worker.model.checkpoint import CHECKPOINT, export
from llm_worker.text.bpe import train_bpe
from services.errors import Unavailable
from services.settings import SettingsError
from tests.llm_worker.engine.support import TEXTS, model, tokenizer
from tests.waiting import LONG


@pytest.fixture
def folder(tmp_path):
    export(model(), tmp_path / CHECKPOINT, "f32")
    (tmp_path / "params.json").write_text(model().config.model_dump_json(exclude_none=True))
    (tmp_path / "tekken.json").write_text(json.dumps(train_bpe(TEXTS, tokenizer().size)))
    return tmp_path


def settings(folder, **more) -> LlmSettings:
    return LlmSettings(backend="engine", folder=str(folder), device="cpu", **more)


async def test_a_folder_answers(folder):
    backend = engine(settings(folder, cache_tokens=2000, context_limit=500))
    await backend.warm_up()
    try:
        assert (backend.model, backend.context_limit) == (folder.name, 500)
        dialogue = backend.open()
        prompt = Prompt("", (Message(1, Role.USER, "Hello"),), sampling=Sampling(max_tokens=5))
        async with aclosing(dialogue.generate(prompt)) as steps:
            last = [step async for step in steps][-1]
        assert isinstance(last, Finished)
        assert last.usage.generated_tokens == 5
        dialogue.close()
    finally:
        await backend.close()


async def test_what_is_wrong_with_a_folder_is_one_line(folder):
    (folder / CHECKPOINT).write_bytes(b"no weights")
    broken = engine(settings(folder))
    with pytest.raises(Unavailable, match=CHECKPOINT):
        await broken.warm_up()
    await broken.close()
    (folder / "tekken.json").write_text(json.dumps(train_bpe(TEXTS, 320)))
    with pytest.raises(Unavailable, match="the vocabulary has 320 ids, the model 340"):
        engine(settings(folder))
    (folder / "tekken.json").unlink()
    with pytest.raises(Unavailable, match=r"tekken\.json.*TRUNKLINE_LLM_FOLDER"):
        engine(settings(folder))
    with pytest.raises(Unavailable, match="TRUNKLINE_LLM_FOLDER"):
        engine(settings(folder / "nowhere"))


def test_the_engine_needs_a_folder():
    with pytest.raises(SettingsError, match="FOLDER must name"):
        LlmSettings.read({"TRUNKLINE_LLM_BACKEND": "engine"})


async def test_the_worker_chats_with_a_folder_and_ends_without_one(folder):
    async def chat(name: str) -> tuple[int | None, str, str]:
        variables = {"BACKEND": "engine", "FOLDER": name, "MAX_TOKENS": "5", "DEVICE": "cpu"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TRUNKLINE_")}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "llm_worker", "chat"),
            env=kept | {f"TRUNKLINE_LLM_{key}": value for key, value in variables.items()},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
        out, err = await asyncio.wait_for(process.communicate(b"Hello\n"), LONG)
        return process.returncode, out.decode(), err.decode()

    (code, out, _), (wrong, _, err) = await asyncio.gather(chat(str(folder)), chat(str(folder / "nowhere")))
    assert (code, out.count("agent> ")) == (0, 2)
    assert wrong == 1
    assert "TRUNKLINE_LLM_FOLDER" in err
    assert "Traceback" not in err
