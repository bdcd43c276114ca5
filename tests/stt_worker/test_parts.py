"""The small pure parts: sound, activity, timeline, pieces, stability, guards, prompt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stt_worker import guards
from stt_worker.activity import Activity
from stt_worker.likeness import as_hinted, likeness
from stt_worker.pieces import cut_position
from stt_worker.prompt import prompt_text, prompt_tokens
from stt_worker.sound import from_alaw, from_mulaw, from_pcm, to_waveform
from stt_worker.stability import StablePrefix
from stt_worker.timeline import Timeline
from tests.stt_worker.calling import RATE, silence, speech


class TestSound:
    def test_mulaw_by_the_values_of_the_standard(self) -> None:
        assert from_mulaw(bytes([0x00, 0x80, 0x7F, 0xFF, 0x8F, 0xAA])).tolist() == [-32124, 32124, 0, 0, 16764, 5372]

    def test_alaw_by_the_values_of_the_standard(self) -> None:
        assert from_alaw(bytes([0x55, 0xD5, 0x2A, 0xAA, 0x80])).tolist() == [-8, 8, -32256, 32256, 5504]

    def test_pcm_is_little_endian(self) -> None:
        assert from_pcm(b"\x01\x00\x00\x80").tolist() == [1, -32768]

    @pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
    def test_every_rate_keeps_time_and_pitch(self, rate: int) -> None:
        tone = (10_000 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)).astype(np.int16)
        waveform = to_waveform(tone, rate)
        assert len(waveform) == 16_000
        assert np.argmax(np.abs(np.fft.rfft(waveform))) == 1000  # cycles a second
        assert np.abs(waveform).max() == pytest.approx(10_000 / 32768, rel=0.05)


class TestActivity:
    def test_speech_is_found_where_it_is(self) -> None:
        activity = Activity(RATE)
        activity.hear(0, np.concatenate([silence(0.4), speech(0.6), silence(0.4)]))
        assert activity.runs(0, 2 * RATE) == [(3200, 8000)]
        assert activity.sound(4000, 5000) == 1000

    @given(st.lists(st.integers(1, 900), min_size=1, max_size=20))
    def test_the_way_it_is_cut_into_messages_makes_no_difference(self, lengths: list[int]) -> None:
        whole, cut = Activity(RATE), Activity(RATE)
        sound = np.concatenate([speech(0.5), silence(0.3), speech(2)])[: sum(lengths)]
        whole.hear(0, sound)
        first = 0
        for length in lengths:
            cut.hear(first, sound[first : first + length])
            first += len(sound[first : first + length])
        assert cut.runs(0, first) == whole.runs(0, first)

    def test_steady_noise_becomes_background_and_speech_above_it_is_still_found(self) -> None:
        activity = Activity(RATE)
        noise = (speech(6) / 30).astype(np.int16)  # -50 dB
        noise[5 * RATE : 6 * RATE] += speech(1)[:RATE] // 4
        activity.hear(0, noise)
        assert activity.sound(3 * RATE, 5 * RATE) == 0
        assert activity.sound(5 * RATE, 6 * RATE) == RATE

    def test_speech_from_the_first_sample_on_is_not_taken_for_background(self) -> None:
        activity = Activity(RATE)
        activity.hear(0, speech(5))
        assert activity.sound(0, 5 * RATE) == 5 * RATE

    def test_a_gap_is_silent_and_an_offset_of_the_line_is_too(self) -> None:
        activity = Activity(RATE)
        activity.hear(0, speech(0.2))
        activity.hear(80_000, np.full(1600, 900, np.int16))
        assert activity.runs(0, 90_000) == [(0, 1600)]


class TestTimeline:
    def test_gaps_read_as_zeros(self) -> None:
        timeline = Timeline()
        timeline.append(2, np.array([1, 2], np.int16))
        timeline.append(6, np.array([3], np.int16))
        assert timeline.read(0, 8).tolist() == [0, 0, 1, 2, 0, 0, 3, 0]
        assert timeline.end == 7

    def test_forgetting_keeps_what_reaches_beyond(self) -> None:
        timeline = Timeline()
        for first in (0, 4, 8):
            timeline.append(first, np.ones(4, np.int16))
        timeline.forget(6)
        assert timeline.held == 8
        assert timeline.read(0, 12).tolist() == [0] * 4 + [1] * 8

    def test_positions_never_go_back(self) -> None:
        timeline = Timeline()
        timeline.append(0, np.ones(4, np.int16))
        with pytest.raises(ValueError, match="3 lies before 4"):
            timeline.append(3, np.ones(1, np.int16))


def runs(*seconds: float) -> list[tuple[int, int]]:
    """Pairs of begin and end."""
    samples = [int(second * RATE) for second in seconds]
    return list(zip(samples[::2], samples[1::2], strict=True))


class TestPieces:
    def test_short_turns_are_not_cut(self) -> None:
        assert cut_position(runs(1, 4, 5, 8), 9 * RATE, RATE) is None
        assert cut_position([], 100 * RATE, RATE) is None

    def test_a_long_pause_ends_a_piece(self) -> None:
        assert cut_position(runs(1, 2), 5 * RATE, RATE) == int(3.5 * RATE)
        assert cut_position(runs(1, 2, 8, 9), 9 * RATE, RATE) == int(3.5 * RATE)

    def test_nine_seconds_are_cut_in_the_longest_pause_after_the_third(self) -> None:
        pauses = runs(0, 2, 2.9, 5, 5.5, 7, 7.7, 9.5)
        assert cut_position(pauses, int(9.5 * RATE), RATE) == int(7.35 * RATE)

    def test_the_longer_the_shorter_a_pause_will_do(self) -> None:
        short = runs(0, 6, 6.2, 10)
        assert cut_position(short, 10 * RATE, RATE) is None
        assert cut_position([short[0], (short[1][0], 15 * RATE)], 15 * RATE, RATE) == int(6.1 * RATE)

    def test_speech_without_any_pause_is_cut_in_the_end(self) -> None:
        assert cut_position(runs(0, 24.9), 25 * RATE, RATE) is None
        assert cut_position(runs(0, 25), 25 * RATE, RATE) == 24 * RATE


class TestStablePrefix:
    def test_two_decodes_in_a_row_must_agree(self) -> None:
        prefix = StablePrefix()
        assert prefix.take(["i", "want"]) == ("", "i want")
        assert prefix.take(["I", "want,", "to"]) == ("I want,", "to")
        assert prefix.take(["I", "won't", "do"]) == ("I want,", "do")

    @given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=12))
    def test_it_only_grows(self, decodes: list[list[str]]) -> None:
        prefix, before = StablePrefix(), ""
        for words in decodes:
            stable, rest = prefix.take(words)
            assert stable.startswith(before)
            assert len(stable.split()) + len(rest.split()) >= len(words)
            before = stable


class TestGuards:
    @pytest.mark.parametrize(
        "text",
        ["Beep, Beep, Beep, Beep, Beep, Beep, Be", "W-W-W-W-W-W-W-W", "go nine one, " * 6, "Ooooh, " * 8],
    )
    def test_loops_are_seen_and_unrolled(self, text: str) -> None:
        assert guards.loops(text)
        assert not guards.loops(guards.unrolled(text))
        assert guards.unrolled(text)

    @pytest.mark.parametrize(
        "text", ["My number is 555 5555 5555 555.", "No, no, no, no, no.", "That is all, that is all."]
    )
    def test_what_callers_say_is_no_loop(self, text: str) -> None:
        assert not guards.loops(text)
        assert not guards.runs_away(text, 10, 30)

    def test_a_sentence_said_twice_or_cut_at_the_cap_runs_away(self) -> None:
        twice = "Do you have a free slot? Do you have a free slot?"
        assert guards.runs_away(twice, 14, 24)
        assert guards.runs_away("Anything", 24, 24)
        assert not guards.runs_away("I would like a slot on Monday or a slot on Tuesday", 12, 24)

    @pytest.mark.parametrize(
        ("text", "no_speech", "log_probability"),
        [
            (". . . .", 0.1, -0.2),
            ("Sound.", 0.92, -2.7),
            ("Sound.", 0.41, -2.56),
            ("You", 0.1, -3.8),
            ("Thanks for watching!", 0.05, -0.2),
        ],
    )
    def test_noise_is_not_speech(self, text: str, no_speech: float, log_probability: float) -> None:
        assert not guards.is_speech(text, no_speech, log_probability)

    @pytest.mark.parametrize(
        ("text", "no_speech", "log_probability"),
        [("Yes.", 0.36, -0.6), ("Bye", 0.12, -1.44), ("Monday", 0.39, -0.88), ("Thank you.", 0.1, -0.1)],
    )
    def test_short_answers_are(self, text: str, no_speech: float, log_probability: float) -> None:
        assert guards.is_speech(text, no_speech, log_probability)


class TestPrompt:
    def test_without_hints_there_is_none(self) -> None:
        assert prompt_text(()) == ""
        assert prompt_text(("  ",)) == ""
        assert prompt_tokens((), lambda text: list(range(len(text))), 100) == []

    def test_hints_read_like_a_list_of_names(self) -> None:
        assert prompt_text(("Dr. Oduya", "Hathaway")).startswith("Names: Dr. Oduya, Hathaway. Address:")

    @given(st.lists(st.text("abc ", min_size=1, max_size=64), max_size=100), st.integers(0, 300))
    def test_it_never_exceeds_the_limit(self, hints: list[str], limit: int) -> None:
        assert len(prompt_tokens(hints, lambda text: [ord(c) for c in text], limit)) <= limit

    def test_the_first_hints_stay_when_not_all_fit(self) -> None:
        tokens = prompt_tokens([f"name{i}" for i in range(50)], lambda text: [ord(c) for c in text], 150)
        assert "".join(map(chr, tokens)).startswith(" Names: name0, name1,")


class TestLikeness:
    @pytest.mark.parametrize(
        ("one", "other"),
        [("Hoffman", "Hoffmann"), ("Hendrix", "Hendricks"), ("Cowalczyk", "Kowalczyk"), ("Ericsson", "Eriksson")],
    )
    def test_spellings_of_one_sound_are_the_same(self, one: str, other: str) -> None:
        assert likeness(one, other) == likeness(other, one) == 1

    @given(st.text("abcdeghimnorstuwyz", max_size=10), st.text("abcdeghimnorstuwyz", max_size=10))
    def test_it_is_symmetric_and_between_0_and_1(self, one: str, other: str) -> None:
        assert 0 <= likeness(one, other) <= 1
        assert likeness(one, other) == pytest.approx(likeness(other, one))
        assert likeness(one, one) == 1

    @pytest.mark.parametrize(
        ("word", "confidence", "written"),
        [
            ("Mintgumory.", 0.41, "Montgomery."),
            ("Mintgumory.", 0.9, "Mintgumory."),  # the model was sure
            ("Hoffman's", 0.96, "Hoffmann's"),
            ("(Euleran,", 0.5, "(Oyelaran,"),
            ("euleran", 0.5, "euleran"),  # not written as a name
            ("Montgomery", 0.2, "Montgomery"),
            ("Monday", 0.3, "Monday"),
            ("Hof", 0.1, "Hof"),
            ("5550192.", 0.1, "5550192."),
            ("...", 0.1, "..."),
        ],
    )
    def test_what_sounds_like_a_hint_becomes_the_hint(self, word: str, confidence: float, written: str) -> None:
        assert as_hinted(word, confidence, ("Oyelaran", "Doctor Montgomery", "Hoffmann", "root canal")) == written

    def test_between_two_that_are_as_near_nothing_is_chosen(self) -> None:
        assert as_hinted("Sorenson", 0.3, ("Sorensen", "Sorenssen")) == "Sorenson"
        assert as_hinted("Sorenson", 0.3, ("Sorensen", "Svensson")) == "Sorensen"
        assert as_hinted("Sorenson", 0.3, ()) == "Sorenson"
