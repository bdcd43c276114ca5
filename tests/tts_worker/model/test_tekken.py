"""Ids that the family's own tokenizer gives, with the vocabulary that mistral-common brings: it has the same merges.

With the published file, whose prompt has marks of its own:
`TRUNKLINE_TEKKEN=…/tekken.json .venv/bin/python -m pytest tests/tts_worker/model/test_tekken.py`
"""

import json
import os
from importlib import resources
from pathlib import Path

import pytest

from tts_worker.model.prompt import text_ids, voice_ids
from tts_worker.model.tokenizer import Tekken

FILE = os.environ.get("TRUNKLINE_TEKKEN", "")

VECTORS = {
    "Paris is a beautiful city!": [42572, 1395, 1261, 15568, 5970, 1033],
    "This is a test message.": [4380, 1395, 1261, 2688, 5117, 1046],
    "Hello.": [22177, 1046],
    "Bonjour, je m'appelle Claude. Ça va très bien, merci!":
        [48227, 47010, 1044, 2310, 1283, 21868, 2755, 28006, 1046, 31441, 3834, 8638, 5593, 1044, 92503, 1033],
    "Grüße aus München — die Straße ist schön.":
        [20560, 1671, 9755, 3558, 28943, 2251, 1828, 27277, 3444, 63844, 1046],
    "El niño comió 42 manzanas; ¿verdad?":
        [4168, 56496, 1437, 1788, 1032, 1052, 1050, 1894, 1122, 16008, 1059, 12615, 1465, 40886, 1063],
    "नमस्ते, आप कैसे हैं?": [2485, 3525, 22475, 1803, 1044, 23167, 83112, 10688, 1063],
    "مرحبا كيف حالك؟": [4341, 1708, 26986, 24675, 17086, 1559, 6944],
    "Tab\tand\nnewline handling.": [16256, 1009, 1421, 1010, 3080, 2839, 21490, 1046],
    "0123456789": list(range(1048, 1058)),
}  # fmt: skip
"""Text and ids, without what is around them in a prompt."""


@pytest.fixture(scope="module")
def vocabulary() -> Tekken:
    if FILE:
        return Tekken.read(Path(FILE))
    file = resources.files("mistral_common").joinpath("data", "tekken_240911.json")
    content = json.loads(file.read_text("utf-8"))  # of a model whose special tokens stand elsewhere
    return Tekken({**content, "special_tokens": []})


@pytest.mark.parametrize("text", VECTORS)
def test_ids_of_a_text(vocabulary: Tekken, text: str) -> None:
    assert vocabulary.encode(text) == VECTORS[text]


@pytest.mark.skipif(not FILE, reason="TRUNKLINE_TEKKEN names no tekken.json of a speech model")
def test_the_prompt_of_a_published_example(vocabulary: Tekken) -> None:
    frames = vocabulary.voice_frames["casual_male"]
    ids = voice_ids(vocabulary, frames) + text_ids(vocabulary, "Paris is a beautiful city!")
    assert ids == [1, 25, *[24] * 147, 36, *VECTORS["Paris is a beautiful city!"], 35, 25]
    assert len(ids) == 158
    assert vocabulary.size == 131072
