import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_worker.text import LONGEST_RUN, locate, pause_after, prepare, split, trace, words_cover

ANY_TEXT = st.text(max_size=300)


@given(ANY_TEXT)
def test_what_is_prepared_is_traced_to_the_sent_text(text: str) -> None:
    prepared = prepare(text)
    assert len(prepared.origins) == len(prepared.text) + 1
    assert list(prepared.origins) == sorted(prepared.origins)
    assert prepared.origins[0] == 0
    assert prepared.origins[-1] == len(text)


@given(ANY_TEXT)
def test_nothing_prepared_can_be_markup_or_an_endless_word(text: str) -> None:
    prepared = prepare(text).text
    assert not set("[]{}\0\n\r") & set(prepared)
    assert max(map(len, prepared.split()), default=0) <= LONGEST_RUN


def test_ordinary_text_stays_as_it_is() -> None:
    text = 'Dr. Smith said: "$45, at 9:30!" (Really?) Café, 50% – yes.'
    assert prepare(text).text == text


def test_pronunciations_controls_and_pictures_are_taken_out() -> None:
    assert prepare("[x](/y/)").text == "(x)(/y/)"
    assert prepare("a\tb\x07c😀d").text == "a b c d"
    assert prepare("co\u00adop\u200berate").text == "cooperate"


def test_a_long_number_is_read_digit_by_digit() -> None:
    assert prepare("1" * 16).text == " ".join("1" * 16)
    assert prepare("1" * 15).text == "1" * 15
    assert prepare("12 " * 10).text == "12 " * 10


@given(st.text(alphabet="ab ,;", max_size=400), st.integers(20, 100))
def test_split_covers_the_text_within_the_limit(text: str, limit: int) -> None:
    ranges = split(text, limit)
    assert "".join(text[a:b] for a, b in ranges) == text
    assert all(b - a <= limit for a, b in ranges)


def test_split_cuts_after_a_clause_if_it_can_and_after_a_word_otherwise() -> None:
    text = "one two three four, five six seven eight"
    assert [text[a:b] for a, b in split(text, 30)] == ["one two three four, ", "five six seven eight"]
    text = "one two three four five"
    assert [text[a:b] for a, b in split(text, 12)] == ["one two ", "three four ", "five"]


def test_locate_covers_what_lies_between_the_parts() -> None:
    assert locate(["One.", "Two."], " One.  Two. ") == [(0, 7), (7, 12)]
    assert locate([], "  ") == [(0, 2)]


@pytest.mark.parametrize(
    ("source", "spoken", "word", "origin"),
    [
        ("Come at 9:30 sharp", "Come at nine thirty sharp", "sharp", "sharp"),
        ("Come at 9:30 sharp", "Come at nine thirty sharp", "nine", "9"),
        ("call 555-0142 now", "call 5 5 5, 0 1 4 2 now", "0", "0"),
        ("on March 3rd, then", "on March third, then", "third", "3rd"),
        ("1/2 hour", "one half hour", "hour", "hour"),
    ],
)
def test_trace_follows_words_through_what_was_written_out(source: str, spoken: str, word: str, origin: str) -> None:
    origins = trace(source, spoken)
    start = spoken.index(word)
    assert source[origins[start] : origins[start + len(word)]].startswith(origin)


@given(st.text(alphabet="ab1 :,", max_size=60), st.text(alphabet="ab1 :,", max_size=60))
def test_trace_never_goes_back_and_ends_at_the_end(source: str, spoken: str) -> None:
    origins = trace(source, spoken)
    assert len(origins) == len(spoken) + 1
    assert origins == sorted(origins)
    assert origins[-1] == len(source)


def test_signs_belong_to_the_word_they_touch() -> None:
    text = '"costs $45, or'
    words = [(1, 6), (8, 10), (12, 14)]
    assert [(text[a:b], text[b:c]) for a, b, c in words_cover(words, text)] == [
        ('"costs', " "),
        ("$45", ", "),
        ("or", ""),
    ]


def test_pauses_grow_with_the_weight_of_the_punctuation() -> None:
    pauses = [pause_after(text) for text in ("and", "and,", "and;", "and.", "and...")]
    assert pauses == sorted(set(pauses))
    assert pause_after('He said "no." ') == pause_after("no.")
    assert pause_after("") == pause_after("and")
