"""Days and times as a recogniser writes them. Today is Sunday, November 22nd 2026."""

from datetime import date, time

import pytest

from llm_worker.backends.frontdesk import hear, when

TODAY = date(2026, 11, 22)

DAYS = {
    "On Tuesday, please.": "2026-11-24",
    "tuesday": "2026-11-24",
    "choose day at ten": "2026-11-24",
    "Tues day": "2026-11-24",
    "wensday": "2026-11-25",
    "Thirsty.": "2026-11-26",
    "Fry day.": "2026-11-27",
    "next Tuesday": "2026-11-24",
    "Sunday": "2026-11-29",
    "today": "2026-11-22",
    "tomorrow": "2026-11-23",
    "to morrow morning": "2026-11-23",
    "the day after tomorrow": "2026-11-24",
    "a week on Tuesday": "2026-12-01",
    "Tuesday of next week": "2026-11-24",
    "in two weeks": "2026-12-06",
    "in 3 days": "2026-11-25",
    "the 24th": "2026-11-24",
    "The twenty fourth.": "2026-11-24",
    "the twenty-fourth please": "2026-11-24",
    "the first": "2026-12-01",
    "on the 3rd": "2026-12-03",
    "Tuesday the 24th": "2026-11-24",
    "Tuesday the 1st": "2026-12-01",
    "December 1st": "2026-12-01",
    "december first": "2026-12-01",
    "Tuesday, Dec. 1st": "2026-12-01",
    "12/1": "2026-12-01",
    "Tuesday, December 1st": "2026-12-01",
    "the first of December": "2026-12-01",
    "1st December": "2026-12-01",
    "December the second": "2026-12-02",
    "november 20": "2026-11-20",
    "January 5th": "2027-01-05",
    "No, not Tuesday, Thursday.": "2026-11-26",
    "Thursday, not Tuesday": "2026-11-26",
    "Not on Tuesday but on Thursday": "2026-11-26",
    "Tuesday, no wait, Wednesday": "2026-11-25",
    "I said Thursday": "2026-11-26",
    "Thursday instead of Tuesday": "2026-11-26",
    "Tuesday or Wednesday": "2026-11-24",
    "I can't do Monday": None,
    "February 31st": None,
    "I don't know": None,
    "just a second": None,
    "at ten thirty": None,
}
TIMES = {
    "At ten thirty.": "10:30",
    "ten-thirty": "10:30",
    "10.30": "10:30",
    "10:30 AM": "10:30",
    "10 30 a.m.": "10:30",
    "1030": "10:30",
    "at 930": "09:30",
    "half past nine": "09:30",
    "half nine": "09:30",
    "quarter past two": "14:15",
    "a quarter to eleven": "10:45",
    "ten past three": "15:10",
    "nine o'clock": "09:00",
    "nine a clock": "09:00",
    "ten in the morning": "10:00",
    "two in the afternoon": "14:00",
    "2 p.m.": "14:00",
    "2pm": "14:00",
    "half past two in the afternoon": "14:30",
    "at three": "15:00",
    "14:00": "14:00",
    "noon": "12:00",
    "at midday": "12:00",
    "twelve thirty": "12:30",
    "ten oh five": "10:05",
    "make it eleven": "11:00",
    "at eight p.m.": "20:00",
    "at three in the morning": "03:00",
    "No, not at ten, at eleven": "11:00",
    "ten or eleven": "10:00",
    "tuesday at ten thirty": "10:30",
    "the 24th at nine": "09:00",
    "december 1st at 10:30 am": "10:30",
    "Tuesday December first, ten thirty": "10:30",
    "um, let's say, uh, four thirty": "16:30",
    "ten": "10:00",
    "To.": "14:00",
    "for thirty": "16:30",
    "ate": "08:00",
    "25:61": None,
    "the 24th": None,
    "December 1st": None,
    "on Tuesday please": None,
    "in two weeks": None,
}


@pytest.mark.parametrize(("text", "day"), DAYS.items())
def test_days(text, day):
    said = when.find(hear.plain(hear.words(text)), TODAY)
    assert said.day == (date.fromisoformat(day) if day else None)


@pytest.mark.parametrize(("text", "at"), TIMES.items())
def test_times(text, at):
    said = when.find(hear.plain(hear.words(text)), TODAY, time_asked=True)
    assert said.at == (time.fromisoformat(at) if at else None)


@pytest.mark.parametrize("text", ["to", "I have two questions", "for the doctor", "call me on 555 12 34"])
def test_numbers_are_no_times_unless_a_time_was_asked_for(text):
    assert when.find(hear.plain(hear.words(text)), TODAY).at is None


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("sometime after three", "15:00"),
        ("after 9 am please", "09:00"),
        ("in the afternoon", "12:00"),
        ("Tuesday afternoon", "12:00"),
    ],
)
def test_wishes_are_no_times(text, after):
    said = when.find(hear.plain(hear.words(text)), TODAY)
    assert (said.at, said.after) == (None, time.fromisoformat(after))


def test_weekdays_count_from_tomorrow_and_next_means_next_calendar_week():
    wednesday = date(2026, 11, 25)
    said = {text: when.find(text, wednesday).day for text in ("wednesday", "friday", "next friday", "next monday")}
    assert said == {
        "wednesday": date(2026, 12, 2),
        "friday": date(2026, 11, 27),
        "next friday": date(2026, 12, 4),
        "next monday": date(2026, 11, 30),
    }


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("move my appointment from tuesday at 10 to thursday at 11", "tuesday at 10", "thursday at 11"),
        ("move my tuesday appointment to friday", "tuesday", "friday"),
        ("can i change my appointment on monday", "monday", ""),
        ("move it to 11", "move it", "11"),
    ],
)
def test_a_move_has_two_sides(text, old, new):
    here, there = when.split_move(text)
    assert old in here
    assert there.strip() == new


def test_digits_of_a_number():
    assert hear.digits(hear.words("It's oh one five, double two, seven eight")) == "0152278"
    assert hear.digits(hear.words("no number")) == ""
