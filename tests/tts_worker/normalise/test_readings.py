"""What each language makes of numbers, dates and the like."""

import pytest

from tests.tts_worker.normalise.readings import READINGS
from tts_worker.normalise import normalise

CASES = [(language, text, spoken) for language, cases in READINGS.items() for text, spoken in cases]


@pytest.mark.parametrize(("language", "text", "spoken"), CASES)
def test_reading(language: str, text: str, spoken: str) -> None:
    assert normalise(text, language).text == spoken


@pytest.mark.parametrize(("language", "text", "spoken"), CASES)
def test_a_reading_is_read_as_it_is(language: str, text: str, spoken: str) -> None:
    assert normalise(spoken, language).text == spoken


@pytest.mark.parametrize("language", sorted({language for language, _, _ in CASES}))
def test_a_language_is_known_by_any_spelling_of_its_tag(language: str) -> None:
    for tag in (language.lower(), language.replace("-", "_"), language.split("-")[0] + "-Latn-" + language[3:]):
        assert normalise("Es 12.", tag) == normalise("Es 12.", language)


def test_regions_differ_and_an_unknown_one_is_that_of_the_language() -> None:
    assert normalise("3/4/2026", "en").text == normalise("3/4/2026", "en-US").text
    assert normalise("3/4/2026", "en-IE").text == "the third of April twenty twenty-six."
    assert normalise("1.000", "es-MX").text != normalise("1.000", "es-ES").text
    assert normalise("12", "de-ZZ").text == "zwölf."


def test_other_languages_are_cleaned_up_only() -> None:
    assert normalise("**Zeta** 5 km (ok)\n", "pl").text == "Zeta 5 km – ok."
    assert normalise("a 5", "").text == "a 5."
