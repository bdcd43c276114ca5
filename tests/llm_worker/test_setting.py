"""What a model is told of the day."""

from llm_worker.setting import DAYS, setting


def test_today_and_the_dates_of_the_coming_days() -> None:
    told = setting("2026-12-30T09:12:00+01:00", "en-US")
    assert told.startswith("The language is en-US. The coming days: Wednesday 2026-12-30, Thursday 2026-12-31")
    assert "Friday 2027-01-01, Saturday 2027-01-02" in told
    assert told.count("2026-") + told.count("2027-") == DAYS + 1
    assert told.endswith(" Now it is Wednesday 2026-12-30, 09:12.")


def test_calls_of_one_day_share_all_but_the_minute() -> None:
    early, late = setting("2026-12-30T09:12:00+01:00", "en"), setting("2026-12-30T16:40:00+01:00", "en")
    assert early[: -len("09:12.")] == late[: -len("16:40.")]


def test_what_is_not_known_is_not_told() -> None:
    assert setting("") == ""
    assert setting("", "de") == "The language is de."
    assert setting("this morning") == "The call began at this morning."
