"""What a model is told of the day."""

from llm_worker.setting import DAYS, setting


def test_today_and_the_dates_of_the_coming_days() -> None:
    told = setting("2026-12-30T09:12:00+01:00", "en-US")
    assert told.startswith("Now it is Wednesday 2026-12-30, 09:12. The coming days: Wednesday 2026-12-30, Thursday")
    assert "Friday 2027-01-01, Saturday 2027-01-02" in told
    assert told.count("2026-") + told.count("2027-") == DAYS + 1
    assert told.endswith(" The language is en-US.")


def test_what_is_not_known_is_not_told() -> None:
    assert setting("") == ""
    assert setting("", "de") == "The language is de."
    assert setting("this morning") == "The call began at this morning."
