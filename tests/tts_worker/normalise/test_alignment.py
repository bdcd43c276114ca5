"""Spoken text traced to the text as it was sent."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tts_worker.normalise.readings import READINGS
from tts_worker.normalise import Normalised, normalise
from tts_worker.normalise.aligned import Aligned


def said_for(spoken: Normalised, word: str) -> tuple[int, int]:
    """The range of the sent text that `word` of the spoken one stands for."""
    start = spoken.text.index(word)
    return spoken.origins[start], spoken.origins[start + len(word)]


@pytest.mark.parametrize(
    ("text", "language", "word", "source"),
    [
        ("Pay $1,200 now.", "en-US", "one thousand two hundred dollars", "$1,200"),
        ("Pay $1,200 now.", "en-US", "now", "now"),
        ("  Pay\n\nnow", "en-US", "now", "now"),
        ("See **Dr. Lee** (here) at 2:30 pm.", "en-US", "Doctor", "Dr."),
        ("See **Dr. Lee** (here) at 2:30 pm.", "en-US", "Lee", "Lee"),
        ("See **Dr. Lee** (here) at 2:30 pm.", "en-US", "here", "here"),
        ("See **Dr. Lee** (here) at 2:30 pm.", "en-US", "two thirty PM", "2:30 pm"),
        ("Am 22.11. um 8 Uhr", "de-DE", "zweiundzwanzigsten November", "22.11."),
        ("Am 22.11. um 8 Uhr", "de-DE", "acht", "8"),
        ("Ruf +49 30 1234567 an", "de-DE", "an", "an"),
        ("z. B. 5 km weit", "de-DE", "fünf Kilometer", "5 km"),
        ("Mail a.b@example.com!", "en-US", "a dot b at example dot com", "a.b@example.com"),
        ("[the page](https://example.com/x) is", "en-US", "is", "is"),
        ("co\u200bop 😀 'is' it", "en-US", "is", "is"),
        ("On 22 November 2026 we", "en-US", "November", "November"),
        ("On 22 November 2026 we", "en-US", "twenty twenty-six", "2026"),
        ("السعر ١٢٫٥٠ € الآن", "ar", "الآن", "الآن"),
    ],
)
def test_a_word_says_what_it_came_from(text: str, language: str, word: str, source: str) -> None:
    start, end = said_for(normalise(text, language), word)
    assert text[start:end].strip(" .\n*!-('") == source.strip(" .\n*!")


def test_a_long_reading_goes_on_evenly_through_its_source() -> None:
    text = "It is 2026-11-22."
    spoken = normalise(text, "en-US")
    start, end = said_for(spoken, "November twenty-second, twenty twenty-six")
    assert (text[start:end], len(set(spoken.origins))) == ("2026-11-22", len(text) + 1)


TABLE = [(language, text) for language, cases in READINGS.items() for text, _ in cases]


@pytest.mark.parametrize(("language", "text"), TABLE)
def test_what_stays_is_followed_exactly(language: str, text: str) -> None:
    """Every word of letters that is spoken as it was sent, and once only, says itself."""
    spoken = normalise(text, language)
    for word in re.findall(r"(?<!\S)[^\W\d_]{4,}(?=[\s.,!]|$)", text):
        if spoken.text.count(word) == 1 and text.count(word) == 1:
            start, end = said_for(spoken, word)
            assert text[start : start + len(word)] == word
            assert end >= start + len(word)


@given(
    st.text("ab1. ", max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.text("xya1", max_size=6)), max_size=5),
)
def test_edits_keep_their_place(text: str, wanted: list[tuple[int, int, str]]) -> None:
    edits, done = [], 0
    for start, length, spoken in sorted(wanted):
        if done <= start <= start + length <= len(text):
            edits.append((start, start + length, spoken))
            done = start + length
    result = Aligned.of(text).edited(edits)
    expected = text
    for start, end, spoken in reversed(edits):
        expected = expected[:start] + spoken + expected[end:]
    assert result.text == expected
    assert len(result.origins) == len(expected) + 1
    assert list(result.origins) == sorted(result.origins)
    assert result.origins[-1] == len(text)
    at, before = 0, 0
    for start, end, spoken in edits:
        for offset in range(start - before):
            assert result.origins[at + offset] == before + offset
        at += start - before
        assert all(start <= origin <= end for origin in result.origins[at : at + len(spoken)])
        at, before = at + len(spoken), end
