"""Marks that are not said."""

import pytest

from tts_worker.normalise import normalise


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Good morning.", "Good morning."),
        ("It's the boys' club, isn’t it?", "It's the boys' club, isn’t it?"),
        ('She said "no" — twice.', 'She said "no" — twice.'),
        ("well-known co-op", "well-known co-op."),
        ("no end", "no end."),
        ('"no end"', '"no end".'),
        ("a pause,", "a pause,"),
        ("", "."),
        ("😀", "."),
        ("one\ntwo\r\nthree", "one two three."),
        ("one  two\u00a0\t three", "one two three."),
        ("para one\n\npara two", "para one. para two."),
        ("co\u00adop\u200b, \ufeffyes\u2060", "coop, yes."),
        ("क्\u200dष", "क्\u200dष."),
        ("hi 👋🏽 there ✨", "hi there."),
        ("**Bold**, *soft*, __both__, ~~gone~~ and `code`", "Bold, soft, both, gone and code."),
        ("snake_case and 2*3*4", "snake case and two three four."),
        ("# Title\ntext", "Title. text."),
        ("> quoted\n> more", "quoted more."),
        ("You need:\n- milk\n- eggs\n* bread\nThat is all", "You need: milk, eggs, bread. That is all."),
        ("1. Sit\n2. Wait\n3. Go", "one: Sit, two: Wait, three: Go."),
        ("See [our page](https://a.example/x_y) or ![a cat](c.png)", "See our page or a cat."),
        ("<b>Hi</b> there", "Hi there."),
        ("| a | b |\n|---|---|\n| c | d |", "a, b, c, d."),
        ("---\nHello", "Hello."),
        ("```python\nx\n```\nok", "x ok."),
        ("He (the boss) left.", "He – the boss – left."),
        ("He left (at last).", "He left – at last."),
        ("(So) he left (ok)", "So – he left – ok."),
        ("[a] {b}", "a – b."),
        ("Wait!!! What??? Really?!?!", "Wait! What? Really?!"),
        ("Well.... yes... no..", "Well... yes... no."),
        ("one -- two --- three", "one – two – three."),
        ("He said 'hello there' and ‘bye’.", "He said hello there and bye."),
        ("'It's mine', she said", "It's mine, she said."),
        ("yes , no .", "yes, no."),
    ],
)
def test_clean_up(text: str, spoken: str) -> None:
    assert normalise(text, "en-US").text == spoken


@pytest.mark.parametrize(
    ("text", "language", "spoken"),
    [
        ("नमस्ते", "hi-IN", "नमस्ते।"),
        ("नमस्ते।", "hi-IN", "नमस्ते।"),
        ("هل تسمعني؟", "ar", "هل تسمعني؟"),
        ("¿Qué tal?", "es-ES", "¿Qué tal?"),
        ("Bonjour\u00a0! Ça va ?", "fr-FR", "Bonjour ! Ça va ?"),
        ("L'été « chaud »", "fr-FR", "L'été « chaud »."),
        ("Er sagt ‚nein‘ und „ja“", "de-DE", "Er sagt nein und „ja“."),
    ],
)
def test_marks_of_other_languages(text: str, language: str, spoken: str) -> None:
    assert normalise(text, language).text == spoken
