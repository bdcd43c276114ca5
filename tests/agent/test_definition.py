"""Agent files: what they may say, what is refused and how, and which agent answers a number."""

import re
from pathlib import Path

import pytest

from agent.definition import (
    BUILT_IN,
    AgentDefinition,
    CalendarSettings,
    EndWebhook,
    Expectation,
    Limits,
    Phrases,
    Recording,
    Webhook,
)
from agent.directory import DefinitionError, Directory, load_agents, parse_agent
from agent.toml_errors import line_of

ROOT = Path(__file__).parents[2]
LEAST = 'name = "a"\nprompt = "Be kind."\n'


def refused(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        parse_agent(text, "a.toml")
    return str(caught.value).splitlines()


def agent(name: str, *numbers: str) -> AgentDefinition:
    return AgentDefinition(name=name, prompt="Be kind.", numbers=numbers)


def test_the_front_desk_of_the_repository_is_valid() -> None:
    directory = load_agents(ROOT / "agents")
    desk = directory.for_number("+1 202 555 0100")
    assert desk is not None
    assert desk.name == "frontdesk"
    assert desk.calendar.slot_minutes == 30
    assert {day: [f"{a:%H:%M}-{b:%H:%M}" for a, b in spans] for day, spans in desk.calendar.open.items()} == {
        day: ["08:00-17:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday")
    }


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("May I have your name, please?", "name"),
        ("What name is the appointment under?", "name"),
        ("Which other day would suit you?", "date"),
        ("I have 9 AM or 10 AM. Which would you like?", "date"),
        ("Which number, please? You can say it or key it in.", "number"),
        ("Should we call you back on the number you're calling from?", "yes_no"),
        ("That's Tuesday at 10 AM for Ann Lee. Shall I book it?", "yes_no"),
        ("Is that right?", "yes_no"),
        ("How can I help you?", None),
        ("We're open Monday to Friday, from 8 AM to 5 PM.", None),
    ],
)
def test_what_the_front_desk_expects_after_its_questions(said: str, answer: str | None) -> None:
    assert load_agents(ROOT / "agents").agents["frontdesk"].expected_answer(said) == answer


def test_two_lines_make_an_agent() -> None:
    agent = parse_agent(LEAST, "a.toml")
    assert (agent.name, agent.tools, agent.recording.enabled, agent.ended) == ("a", (), False, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("promt = 'x'", "a.toml: line 3: promt: unknown key. Valid: name, title, numbers"),
        ("numbers = '*'", "a.toml: line 3: numbers: '*': Input should be a valid array"),
        ("numbers = ['+44*20']", "a.toml: line 3: numbers[0]: '+44*20': a number or SIP user; a last * stands for any"),
        ("language = 'klingon!'", "a.toml: line 3: language: 'klingon!'"),
        ("tools = ['fly']", "a.toml: tools: no built-in tool fly. Valid: find_slots, book_appointment"),
        ("tools = ['end_call', 'end_call']", "a.toml: tools: end_call is given more than once"),
        ("tools = ['find_slots']", "a.toml: calendar.open: missing; find_slots needs opening times"),
        ("tools = ['transfer_call']", "a.toml: transfer: missing; transfer_call needs a [transfer] table"),
        (
            "[limits]\ncall_seconds = 5",
            "a.toml: line 4: limits.call_seconds: 5: Input should be greater than or equal to 10",
        ),
        ("[limits]\ncall_seconds = true", "a.toml: line 4: limits.call_seconds: True: Input should be a valid number"),
        ("[recording]\nenabled = 'yes'", "a.toml: line 4: recording.enabled: 'yes': Input should be a valid boolean"),
        (
            "[recording]\nconsent = 'maybe'",
            "a.toml: line 4: recording.consent: 'maybe': Input should be 'none', 'announce' or",
        ),
        ("[recording]\nkeep = 3", "a.toml: line 4: recording.keep: unknown key. Valid: enabled, consent"),
        ("[calendar]\ntimezone = 'Mars/Base'", "a.toml: line 4: calendar.timezone: 'Mars/Base': no such time zone"),
        ("[calendar]\ntimezone = 'Europe'", "a.toml: line 4: calendar.timezone: 'Europe': no such time zone"),
        ("[calendar]\ntimezone = '../passwd'", "a.toml: line 4: calendar.timezone: '../passwd': no such time zone"),
        (
            "[calendar.open]\nmonday = ['9-12']",
            "calendar.open.monday[0]: '9-12': write opening times as \"09:00-12:30\"",
        ),
        ("[calendar.open]\nmonday = ['12:00-09:00']", "the opening time must be before the closing time"),
        ("[calendar.open]\nmonday = ['12:00-29:00']", "calendar.open.monday[0]: '12:00-29:00': hour must be in 0..23"),
        (
            "[calendar.open]\nmonday = ['09:00-12:00', '11:00-13:00']",
            "line 4: calendar.open.monday: opening times overlap or are out of order",
        ),
        ("[calendar.open]\nfunday = ['09:00-12:00']", "calendar.open.funday"),
        ("[[expecting]]\nafter = '('\nanswer = 'name'", "expecting[0]: after: not a regular expression"),
        ("[ended]\nurl = 'ftp://x'", "a.toml: line 4: ended.url: 'ftp://x': must be an http:// or https:// address"),
        ("[ended]\nurl = 'http://a b'", "ended.url: 'http://a b': must be an http:// or https:// address"),
        ("[ended]\nurl = 'http://x:99999'", "ended.url: 'http://x:99999': Port out of range"),
        ("[ended]\nurl = 'http://[x'", "ended.url: 'http://[x': Invalid IPv6 URL"),
        ("[ended]\nurl = 'http://x'\nsecret_variable = 'a-b'", "a.toml: line 5: ended.secret_variable: 'a-b'"),
        (
            "[[tool]]\nname = 'x'\ndescription = 'd'\nurl = 'http://x'\n[[tool]]\nname = 'y'\ndescription = 'd'\nurl = 'http://y'\n"
            "parameters = { type = 'array' }",
            'a.toml: line 11: tool[1].parameters: a JSON Schema with type = "object"',
        ),
        (
            "[[tool]]\nname = 'x'\ndescription = 'd'\nurl = 'http://x'\n[tool.parameters]\ntype = 'objekt'",
            "tool[0].parameters: not a JSON Schema: 'objekt' is not valid",
        ),
        (
            "[[tool]]\nname = 'end_call'\ndescription = 'd'\nurl = 'http://x'\n",
            "a.toml: line 4: tool[0].name: 'end_call': a built-in",
        ),
        ("= 3", "a.toml: not TOML: Invalid statement (at line 3, column 1)"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_what_is_valid(text: str, expected: str) -> None:
    lines = refused(LEAST + text)
    assert len(lines) == 1
    assert expected in lines[0]


def test_every_mistake_is_told_at_once() -> None:
    lines = refused('name = "A b"\n[limits]\nsilence_prompts = -1\nx = 1\n')
    assert [line.split(": ")[1:3] for line in lines] == [
        ["line 1", "name"],
        ["prompt", "missing"],
        ["line 3", "limits.silence_prompts"],
        ["line 4", "limits.x"],
    ]


def test_numbers_exact_first_then_the_longest_beginning_then_anybody() -> None:
    directory = Directory(
        {
            a.name: a
            for a in (
                agent("exact", "+44 20 7946 0000"),
                agent("city", "+4420*"),
                agent("land", "+44*"),
                agent("any", "*"),
            )
        }
    )

    def answers(number: str) -> str | None:
        found = directory.for_number(number)
        return found.name if found else None

    assert answers("+442079460000") == "exact"
    assert answers("442079460000") == "exact"
    assert answers("0044-20-7946-0000") == "exact"
    assert answers("+442079460001") == "city"
    assert answers("+441179460001") == "land"
    assert answers("+49") == "any"
    assert answers("reception") == "any"


def test_sip_users_are_numbers_too_and_nobody_answers_the_rest() -> None:
    directory = Directory({"desk": agent("desk", "Desk", "100")})
    assert directory.for_number("desk") is directory.for_number("100")
    assert directory.for_number("desk") is not None
    assert directory.for_number("1001") is None
    assert directory.for_number("") is None


@pytest.mark.parametrize(("one", "two"), [("*", "*"), ("+44 20", "0044-20"), ("Desk", "desk"), ("+44*", "0044*")])
def test_two_agents_cannot_claim_one_number(one: str, two: str) -> None:
    with pytest.raises(DefinitionError, match="is claimed by a and b; keep one"):
        Directory({"a": agent("a", one), "b": agent("b", two)})


def test_mistakes_of_all_files_of_a_directory_are_told(tmp_path: Path) -> None:
    (tmp_path / "1.toml").write_text(LEAST)
    (tmp_path / "2.toml").write_text(LEAST)
    (tmp_path / "3.toml").write_text(LEAST + "x = 1")
    (tmp_path / "4.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "5.toml").mkdir()
    with pytest.raises(DefinitionError) as caught:
        load_agents(tmp_path)
    lines = str(caught.value).splitlines()
    assert [line.removeprefix(f"{tmp_path}/")[:6] for line in lines] == ["2.toml", "3.toml", "4.toml", "5.toml"]


def test_a_directory_without_agents_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no agent files"):
        load_agents(tmp_path / "nowhere")


def test_a_secret_that_is_not_in_the_environment_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(LEAST + "[ended]\nurl = 'http://x'\nsecret_variable = 'END_KEY'\n")
    with pytest.raises(DefinitionError, match=r"a\.toml: secret_variable: the environment variable END_KEY is not set"):
        load_agents(tmp_path, {})
    assert load_agents(tmp_path, {"END_KEY": "k"}).agents["a"].secret_variables == ("END_KEY",)


def test_line_of_finds_the_nth_table_and_falls_back_to_the_table_around() -> None:
    text = "a = 1\n[[tool]]\nname = 1\n[[tool]]\nname = 2\n[x.y]\nz = [\n 1,\n]\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("tool", 0, "name")) == 3
    assert line_of(text, ("tool", 1, "name")) == 5
    assert line_of(text, ("tool", 1, "url")) == 4
    assert line_of(text, ("x", "y", "z", 0)) == 7
    assert line_of(text, ("b",)) == 0


def test_every_key_is_described_in_the_documentation() -> None:
    text = (ROOT / "docs" / "agents.md").read_text()
    described = set(re.findall(r"`\[*(\w+)\]*`", text))
    parts = (AgentDefinition, Limits, Phrases, Recording, CalendarSettings, Expectation, Webhook, EndWebhook)
    described |= set(re.findall(r"`\[tool\.(\w+)\]`", text))
    keys = {name for part in parts for name in part.model_fields}
    assert keys - described == set()
    assert set(BUILT_IN) - described == set()
