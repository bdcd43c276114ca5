"""Who is who, as a recogniser spells it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools import names


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("sarah miller", "Sarah Miller"),
        ("Anna Mueller", "Anna Miller"),
        ("Catherine More", "Katherine Moore"),
        ("Mrs. Sara Miller", "Sarah Miller"),
        ("Sean OConnor", "Séan O'Connor"),
        ("Jon Smyth", "John Smith"),
        ("AnnaMarie Lopez", "Anna Marie Lopez"),
    ],
)
def test_the_same_person(said: str, written: str) -> None:
    assert names.matches(said, ["Peter Brown", written]) == [1]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Peter Miller", "Anna Miller"),
        ("Jane Smith", "John Smith"),
        ("Miller", "Anna Miller"),
        ("Emma Watson", "Emily Wilson"),
        ("", "Anna Miller"),
        ("...", "..."),
    ],
)
def test_somebody_else(said: str, written: str) -> None:
    assert names.matches(said, [written]) == []


def test_who_is_spelt_exactly_wins_over_who_is_spelt_nearly() -> None:
    assert names.matches("Joan Smith", ["John Smith", "JOAN SMITH", "Joan Smith"]) == [1, 2]


def test_a_known_time_makes_up_for_a_worse_spelling() -> None:
    assert names.matches("Pria Raymond", ["Priya Raman"]) == []
    assert names.matches("Pria Raymond", ["Priya Raman"], names.SIMILAR_WHEN_TIME_IS_KNOWN) == [0]
    assert names.matches("Peter Miller", ["Anna Miller"], names.SIMILAR_WHEN_TIME_IS_KNOWN) == []


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_name_is_itself_and_likeness_goes_both_ways(one: str, other: str) -> None:
    if names.plain(one):
        assert names.matches(one, [one]) == [0]
    assert bool(names.matches(one, [other], 2.0)) == bool(names.matches(other, [one], 2.0))
