"""Training data: the same job gives the same files, a call is in one split only, a source can be taken out."""

import json
from pathlib import Path

import pytest

from agent.store.records import CallRecordRows, CallRow, EventRow, TurnRow, WordRow
from llm_worker.forge.dataset import Generated, Job, build, described, forget, generate, read_job, split_of
from llm_worker.forge.importing import BadRecord, agent, conversation, records
from llm_worker.forge.jobfile import JobError
from llm_worker.forge.records import Conversation, read
from llm_worker.forge.scrub import scrub
from llm_worker.messages import Message, Role, ToolCall

AGENT = Path(__file__).parents[3] / "agents" / "frontdesk.toml"


def _record(number: int = 1) -> CallRecordRows:
    """As the agent writes it: greeting, a booking with two tool calls, silence, an answer cut short, goodbye."""
    asked = json.dumps({"day": "2026-11-26"})
    booked = json.dumps({"name": "Laura Moreno", "day": "2026-11-26", "time": "09:00"})
    turns = (
        TurnRow(0, "greeting", agent_sent="Hello.", agent_heard="Hello.", marks={"agent_started": 0.4}),
        TurnRow(
            1,
            "answered",
            caller="Laura Moreno here, my number is 555 0147 88.",
            agent_heard="I have 9 AM.",
            marks={"caller_stopped": 6.0, "agent_started": 7.0},
            words=(WordRow("Laura", 4.0, 4.3),),
        ),
        TurnRow(2, "prompt", agent_heard="Are you still there?", marks={"agent_started": 15.0}),
        TurnRow(3, "interrupted", "Yes, nine.", "You are", "You are", {"caller_stopped": 18.0}, interrupted=True),
        TurnRow(4, "answered", "Bye.", "Goodbye.", "Goodbye.", {"caller_stopped": 22.0}),
    )
    events = (
        EventRow(6.4, "tool", {"name": "find_slots", "arguments": asked, "result": '{"slots": ["09:00"]}'}),
        EventRow(18.5, "tool", {"name": "book_appointment", "arguments": booked, "result": booked}),
        EventRow(22.5, "tool", {"name": "end_call", "arguments": "{}", "result": '{"status": "ending"}'}),
        EventRow(9.0, "digits", {"keys": "1"}),
    )
    row = CallRow(
        id=f"call-{number}", direction="in", kind="sip", agent="frontdesk", caller="+1", called="+2",
        started="2026-11-24T09:00:00.000+00:00", connected="2026-11-24T09:00:01.000+00:00", ended=None, reason=None,
        detail="", codec="PCMU", rate=8000, recording=False, summary={},
    )  # fmt: skip
    return CallRecordRows(row, turns, events)


def _imported() -> Conversation:
    made = conversation(_record().as_json(), "clinic", agent(AGENT))
    assert made is not None
    return made


def test_a_call_record_becomes_what_the_model_saw() -> None:
    made = _imported()
    roles = "system assistant user assistant tool assistant system user assistant tool assistant user assistant"
    assert [message.role.value for message in made.messages] == roles.split()
    assert [call.name for m in made.messages for call in m.tool_calls] == ["find_slots", "book_appointment", "end_call"]
    assert made.messages[6].text == 'You said to the caller: "Are you still there?"'
    assert {made.messages[number - 1].text for number in made.cut_short} == {"You are"}
    assert made.messages[0].text.startswith("You answer the telephone at Harbour Street Practice")
    assert read(made.to_json()) == made
    assert [tool.name for tool in made.tools][-1] == "end_call"


def test_a_call_in_which_nobody_spoke_is_left_out() -> None:
    record = _record().as_json()
    record["turns"] = record["turns"][:1]
    assert conversation(record, "clinic", agent(AGENT)) is None


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"call-1.*turns"):
        conversation({"id": "call-1"}, "clinic", agent(AGENT))
    (tmp_path / "calls.jsonl").write_text('{"id": 1}\n{broken\n')
    with pytest.raises(BadRecord, match="line 2"):
        list(records(tmp_path / "calls.jsonl"))
    (tmp_path / "agent.toml").write_text("tools = ['fly']\nprompt = 'x'\n")
    with pytest.raises(BadRecord, match="no tool 'fly'"):
        agent(tmp_path / "agent.toml")


def test_names_and_numbers_are_exchanged_everywhere_alike() -> None:
    made = scrub(_imported())
    whole = made.to_json()
    assert "Moreno" not in whole.split('"messages"')[1]
    assert "0147" not in whole
    said = made.messages[2].text.split()
    booked = json.loads(made.messages[8].tool_calls[0].arguments)
    assert booked["name"] == f"{said[0]} {said[1]}"
    assert (booked["day"], booked["time"]) == ("2026-11-26", "09:00")
    assert made == scrub(_imported())


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Tuesday at 9:30 or 10:15, room 12", True),
        ("That's 2026-11-26 at 14:30.", True),
        ("I may come in May, Mark my words", False),
        ("Doctor Helen Ward is in.", True),  # the prompt names her
        ("one five five five, oh one four seven", False),
        ("write to ann.smith@example.com", False),
        ("It's M O R E N O.", False),
    ],
)
def test_what_is_personal_goes_and_the_rest_stays(said: str, kept: bool) -> None:
    prompt = Message(1, Role.SYSTEM, "The doctors are Doctor Helen Ward and Doctor Osei.")
    made = scrub(Conversation("c", "s", "", (prompt, Message(2, Role.USER, said))))
    assert (made.messages[1].text == said) is kept


def test_spelled_letters_go_with_their_name() -> None:
    said = Message(1, Role.USER, "Moreno, M-O-R-E-N-O.")
    call = ToolCall("a", "cancel_appointment", '{"name": "Moreno"}')
    made = scrub(Conversation("c", "s", "", (said, Message(2, Role.ASSISTANT, "", tool_calls=(call,)))))
    name = json.loads(made.messages[1].tool_calls[0].arguments)["name"]
    assert made.messages[0].text == f"{name}, {'-'.join(name.upper())}."


def test_the_same_job_gives_the_same_files_whatever_the_processes(tmp_path: Path) -> None:
    texts = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        manifest = build(
            Job(out=out, seed=3, generated=Generated(train=70, held=5, processes=processes)), progress=False
        )
        assert manifest["conversations"] == {"train generated": 70, "held generated": 5}
        texts.append((out / "train.jsonl").read_bytes() + (out / "held.jsonl").read_bytes())
    assert texts[0] == texts[1]
    other = next(generate(Generated(), 4, "train", 1))
    assert other.to_json() not in texts[0].decode()


def _read(path: Path) -> list[Conversation]:
    return [read(line) for line in path.read_text().splitlines()]


def test_imported_calls_are_in_one_split_and_can_be_forgotten(tmp_path: Path) -> None:
    (tmp_path / "calls.json").write_text(json.dumps([_record(number).as_json() for number in range(40)]))
    (tmp_path / "job.toml").write_text(
        f'out = "data"\nheld_share = 0.3\n[generated]\ntrain = 3\n'
        f'[[imported]]\nsource = "clinic"\nrecords = "calls.json"\nagent = "{AGENT}"\n'
    )
    job = read_job(tmp_path / "job.toml")
    build(job, progress=False)
    made = {split: _read(job.out / f"{split}.jsonl") for split in ("train", "held")}
    assert len(made["train"]) + len(made["held"]) == 43
    assert not {each.id for each in made["train"]} & {each.id for each in made["held"]}
    assert all(split_of(each, job) == split for split in made for each in made[split] if each.source == "clinic")
    assert forget(job.out, "clinic") == 40
    assert [each.source for each in _read(job.out / "train.jsonl")] == ["generated"] * 3
    assert (job.out / "held.jsonl").read_text() == ""
    again = job.model_copy(update={"forget": ("clinic",)})
    assert build(again, progress=False)["conversations"] == {"train generated": 3}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("out = 1", "out"),
        ("seed = 1", "out"),
        ('out = "x"\nwhat = 1', "what"),
        ('out = "x"\n[generated]\nprocesses = 0', "generated.processes"),
        ("out = ", "not TOML"),
    ],
)
def test_a_job_that_cannot_be_done_says_where(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(JobError, match=told):
        read_job(tmp_path / "job.toml")


def test_records_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(
        f'out = "data"\n[[imported]]\nsource = "clinic"\nrecords = "none/*.json"\nagent = "{AGENT}"\n'
    )
    with pytest.raises(JobError, match=r"none/\*.json"):
        build(read_job(tmp_path / "job.toml"), progress=False)
    with pytest.raises(JobError, match=r"train\.jsonl"):
        forget(tmp_path, "clinic")


def test_help_tells_every_key() -> None:
    keys = dict(described(Job))
    assert {"out", "seed", "generated.noise", "imported.source", "forget"} <= keys.keys()
    assert all(keys.values())
