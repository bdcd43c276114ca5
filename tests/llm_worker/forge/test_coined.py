"""Names that nobody has thought of: callers of training have them, held-out callers do not."""

import random

from llm_worker.forge.coined import coined
from llm_worker.forge.practice import COINED_SHARE, people, person


def test_hardly_any_two_are_the_same() -> None:
    draw = random.Random(0)
    names = [coined(draw) for _ in range(1000)]
    assert len(set(names)) > 950
    assert all(name.isalpha() and name.istitle() and 2 <= len(name) <= 20 for name in names)


def test_half_of_the_names_in_training_are_coined_and_none_is_held_out() -> None:
    draw = random.Random(1)
    given, _ = people("train")
    drawn = [person(draw, "train") for _ in range(2000)]
    share = sum(each.given not in given for each in drawn) / len(drawn)
    assert abs(share - COINED_SHARE) < 0.05
    held = {name for names in people("held") for name in names}
    assert not held & {name for each in drawn for name in (each.given, each.family)}
    assert all({each.given, each.family} <= held for each in (person(draw, "held") for _ in range(100)))
