"""Phrasings, names and flows of held-out callers occur in no training data."""

import random
import re

import pytest

from llm_worker.forge.dialogue import dialogues, lines
from llm_worker.forge.grammar import expand, load, parse, sentence, slots, text
from llm_worker.forge.phrases import acts, long_text, sample, templates
from llm_worker.forge.planning import flow_split, plan
from llm_worker.forge.practice import people


@pytest.mark.parametrize("act", acts())
def test_held_out_phrases_are_never_said_in_training(act: str) -> None:
    assert not set(templates(act, "train")) & set(templates(act, "held"))
    draw = random.Random(act)
    # Slots keep their names here, so that only wording can differ.
    blank = {name: f"<{name}>" for name in {"othername", "text", "number", *_slots(act)}}
    said = {
        split: {text(expand(draw.choice(templates(act, split)), draw, blank)).lower() for _ in range(300)}
        for split in ("train", "held")
    }
    assert said["train"]
    assert not said["train"] & said["held"]


def _slots(act: str) -> set[str]:
    return {
        name for each in (*templates(act, "train"), *templates(act, "held")) for name in re.findall(r"\{(\w+)\}", each)
    }


def test_names_and_messages_of_the_two_splits_differ() -> None:
    for train, held in zip(people("train"), people("held"), strict=True):
        assert not set(train) & set(held)
        assert 8 * len(held) == pytest.approx(len(train) + len(held), rel=0.35)
    draw = random.Random(0)
    said = [{long_text(split, draw) for _ in range(400)} for split in ("train", "held")]
    assert not said[0] & said[1]


def test_flows_of_the_two_splits_differ() -> None:
    flows = {split: {plan(number, split).flow for number in range(150)} for split in ("train", "held")}
    assert not flows["train"] & flows["held"]
    assert all(flow_split(flow) == split for split, each in flows.items() for flow in each)
    assert len(flows["held"]) > 50


EVERYBODY_SAYS = {
    "Hi, good morning. I'd like to make an appointment, please.",
    "I'd like to leave a message for Doctor Osei, please.",
    "Can I speak to a real person, please?",
}
"""Of the lines written by hand: there is hardly another way to say it."""


def _runs(said: str, length: int = 7) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9']+", said.lower())
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}


def test_no_line_written_by_hand_is_said_in_training() -> None:
    """Nor seven words of it in a row, but for words that slots are filled with."""
    draw = random.Random(4)
    learnt: set[tuple[str, ...]] = set()
    for act in acts():
        blank = {name: f"<{name}>" for name in {"othername", *_slots(act)}}
        for template in templates(act, "train"):
            for _ in range(20):
                learnt |= _runs(text(expand(template, draw, blank)))
    for _ in range(1000):
        learnt |= _runs(long_text("train", draw))
    lines_ = [line for dialogue in dialogues() for line in lines(dialogue)]
    assert {line for line in lines_ if _runs(line) & learnt} <= EVERYBODY_SAYS


def test_every_list_is_well_formed() -> None:
    for act in acts():
        for split in ("train", "held"):
            for template in templates(act, split):
                parse(template)
    for phrases in load("assistant").values():
        assert len(set(phrases)) == len(phrases)
        for template in phrases:
            parse(template)
    for _ in range(300):
        assert text(sample(random.Random(1), "train"))


def test_choices_optional_parts_and_slots() -> None:
    draw = random.Random(2)
    said = {sentence("[oh, ](yes|no)[ to {day}][ at {time}].", draw, {"day": "Monday"}) for _ in range(200)}
    assert said == {
        "Yes.", "No.", "Oh, yes.", "Oh, no.",
        "Yes to Monday.", "No to Monday.", "Oh, yes to Monday.", "Oh, no to Monday.",
    }  # fmt: skip
    assert slots("(a {x}|b {x}) [c {y}]") == {"x"}
    with pytest.raises(KeyError):
        expand("at {time}", draw, {})
    for broken in ("(a", "a)", "(a]", "[a|b)"):
        with pytest.raises(ValueError, match="bracket"):
            parse(broken)
