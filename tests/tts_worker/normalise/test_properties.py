"""What holds for every text there is."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_worker.normalise import normalise
from tts_worker.normalise.tongue import tongue
from tts_worker.normalise.wording import wordings

LANGUAGES = st.sampled_from(
    [
        "en-US",
        "en-GB",
        "en-IN",
        "fr-FR",
        "de-DE",
        "es-ES",
        "es-MX",
        "nl-NL",
        "pt-PT",
        "pt-BR",
        "it-IT",
        "hi-IN",
        "ar",
        "x",
    ]
)
_MARKS = (
    "0 1 2 3 12 30 1998 2026 100 555 1,5 2.5 1.000 ١ २ ½ 1/2 . , : ; - – — / ( ) [ ] ' ‘ ’ \" ! ? … € $ £ % ° # & + ="
)
_PARTS = (
    "@ km kg h s am p.m. Uhr million Mio. 1er 2nd 3. º ª * ** _ ` ~ | a A é ß न م । May Mai de to the der am Dr. St."
)
_PIECES = "z.B. example.com www. https:// a@b.de \n \n\n \t \u200b \u200d \u00a0 \u00ad \ud800 😀 ``` ]( # 1."
_BITS = st.sampled_from([*_MARKS.split(" "), *_PARTS.split(" "), *_PIECES.split(" "), " ", "\n- "])
TEXTS = st.one_of(
    st.text(max_size=100),
    st.text(st.characters(exclude_categories=()), max_size=60),
    st.lists(_BITS, max_size=16).map("".join),
    st.lists(_BITS, max_size=12).map(" ".join),
)


@settings(max_examples=1500, deadline=None)
@given(TEXTS, LANGUAGES)
def test_any_text_is_spoken_and_traced(text: str, language: str) -> None:
    spoken = normalise(text, language)
    assert len(spoken.origins) == len(spoken.text) + 1
    assert list(spoken.origins) == sorted(spoken.origins)
    assert (spoken.origins[0], spoken.origins[-1]) == (0, len(text))
    assert spoken == normalise(text, language)
    spoken.text.encode()
    assert spoken.text == " ".join(spoken.text.split())
    assert spoken.text.rstrip("\"'”’»›“")[-1] in ".!?…।॥؟۔:;,،؛–—"
    assert not set("\n\r\t()[]{}*`|~^_<>\\") & set(spoken.text)
    assert not [c for c in spoken.text if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn")]
    if tongue(language):
        assert not [c for c in spoken.text if c.isdecimal()]


_WORDS = st.text(st.characters(categories=("Ll", "Lo", "Mn", "Mc")), min_size=3, max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, min_size=1, max_size=8), LANGUAGES)
def test_ordinary_words_stay_as_they_are(words: list[str], language: str) -> None:
    wording = wordings().get(language[:2])
    short = set(wording.abbreviations) if wording else set()
    text = f"{' '.join(word for word in words if word not in short)}."
    if len(text) > 1:
        spoken = normalise(text, language)
        assert (spoken.text, spoken.origins) == (text, tuple(range(len(text) + 1)))


@pytest.mark.parametrize("language", sorted(wordings()))
def test_every_number_has_words(language: str) -> None:
    known = tongue(language)
    assert known is not None
    numbers = [*range(200), *(10**k + d for k in range(2, 15) for d in (-1, 0, 1, 7)), 10**15 - 1]
    for number in numbers:
        assert known.cardinal(str(number)).strip()
        assert all(known.cardinal(str(number), gender) for gender in ("masculine", "feminine"))
        assert all(known.ordinal(number, form) for form in known.wording.ordinal if number)
    assert len({known.cardinal(str(number)) for number in numbers}) == len(set(numbers))


@pytest.mark.parametrize("language", sorted(wordings()))
def test_files_of_languages_are_complete(language: str) -> None:
    """What code looks up by name is there."""
    english, wording = wordings()["en"], wordings()[language]
    assert set(english.web) <= set(wording.web)
    assert set(english.symbols) <= set(wording.symbols)
    assert set(english.money) <= set(wording.money)
    assert {"full", "hour"} <= set(wording.time)
    assert {"full", "day"} <= set(wording.date)
