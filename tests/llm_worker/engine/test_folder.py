"""A model's folder becomes an engine, or a line that says why not."""

import json
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
