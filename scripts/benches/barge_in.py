"""How soon the agent is silent when talked over, and how often it pauses for nothing, both on a real line."""

from pathlib import Path

from loadtest.capture import Direction
from loadtest.report import Figure, percentile
from loadtest.wire import WireTurn, pauses, stream
from scripts.benches.common import Result, Setting, grown, samples
from scripts.onecall import place_call
from scripts.stack import StackOptions, running

CALLS, QUICK_CALLS = 4, 1
MINUTES, QUICK_MINUTES = 10, 1
BACKCHANNEL_EVERY = 12
NO_STOP = 2.0
"""Seconds after which the agent has not stopped for the caller but come to its end."""
QUESTIONS = (
    "Sorry, how much does a check-up cost?",
    "Wait, what are your opening hours?",
    "Excuse me, where are you?",
    "Hold on, how much is a vaccination?",
    "No, I meant a blood test, how much is that?",
    "And when are you open on Fridays?",
    "Sorry, what was the address again?",
    "How much does a consultation cost?",
)
BACKCHANNELS = ("Mhm.", "Okay.", "Yeah.", "Uh-huh.", "Right.")
READING = (
    "The practice was founded in nineteen eighty two by a young doctor who had come from the other side of the bay.",
    "In the first years there was one room, one desk, and a bell that rang whenever the ferry came in.",
    "People waited on the bench outside, and when it rained they waited in the bakery next door.",
    "Later a second room was added, and then a third, and the bakery moved to the end of the street.",
    "Today there are three doctors, four nurses and a waiting room with a view of the water.",
    "On clear days you can see the lighthouse, and on most days you can at least hear it.",
)
READER = """
name = "reader"
numbers = ["*"]
prompt = "Read."
greeting = {greeting}

[limits]
call_seconds = 1800
silence_seconds = 60
"""


async def run(setting: Setting) -> Result:
    """See the module."""
    calls, minutes = (QUICK_CALLS, QUICK_MINUTES) if setting.quick else (CALLS, MINUTES)
    stops = await _interruptions(setting, calls)
    setting.tell(0.5, f"{minutes} minutes of babble and backchannels")
    false, silences, spoken = await _false_pauses(setting, minutes)
    times = [turn.stop_time for turn in stops if turn.stop_time is not None and turn.stop_time < NO_STOP]
    figures = (
        Figure("caller talks over the agent → silence, p50", percentile(times, 0.5) * 1000, "ms"),
        Figure("caller talks over the agent → silence, p95", percentile(times, 0.95) * 1000, "ms", at_most=400,
               note=f"{len(times)} interruptions, at the relay"),
        Figure("interruptions that did not stop the agent", len(stops) - len(times), "", note=f"of {len(stops)}"),
        Figure("false pauses, as the agent counts them", false, "", at_most=2 * minutes / 10,
               note=f"{minutes} minutes of babble at 15 dB, {spoken} backchannels"),
        Figure("silences over 0.45 s on the line in that time", silences, "",
               note="pauses between sentences are shorter"),
    )  # fmt: skip
    return Result(figures, data={"stop_seconds": times, "minutes": minutes})


async def _interruptions(setting: Setting, calls: int) -> list[WireTurn]:
    """What happened each time the caller talked over an answer."""
    scenario = _written(setting.folder / "interruptions.toml", _interrupting())
    found: list[WireTurn] = []
    async with running(StackOptions(setting.folder / "data")) as stack:
        for number in range(calls):
            setting.tell(0.5 * number / calls, f"interruptions, call {number + 1} of {calls}")
            placed = await place_call(stack, str(scenario), setting.folder / f"interrupting-{number}")
            found += [turn for turn in placed.wire_turns() if turn.kind == "interrupt" and turn.stop_time is not None]
    return found


def _interrupting() -> str:
    steps = "".join(
        f"[[step]]\ninterrupt = {text!r}\nafter = {0.8 + 0.2 * (n % 4):.1f}\n" for n, text in enumerate(QUESTIONS)
    )
    head = 'title = "Talks over every answer"\n[voice]\nspeed = 1.1\npitch = 0.9\nseed = 7\n'
    return f'{head}[[step]]\nsay = "Can you tell me your opening hours?"\n{steps}[[step]]\nhang_up = true\n'


async def _false_pauses(setting: Setting, minutes: int) -> tuple[float, int, int]:
    """Verdicts of the agent, silences on the line, backchannels said."""
    agents = setting.folder / "agents"
    agents.mkdir()
    _written(agents / "reader.toml", READER.format(greeting=_quoted(_text_for(minutes))))
    count = (minutes * 60 - 10) // BACKCHANNEL_EVERY
    scenario = _written(setting.folder / "backchannels.toml", _agreeing(count, minutes))
    options = StackOptions(setting.folder / "reader", environment={"TRUNKLINE_AGENT_AGENTS": str(agents)})
    async with running(options) as stack:
        before = samples(await stack.metrics())
        placed = await place_call(stack, str(scenario), setting.folder / "babble", longest=minutes * 60 + 120)
        verdicts = grown(before, samples(await stack.metrics()), "trunkline_interruptions_total")
    agent = stream(placed.packets, Direction.TO_CALLER)
    return verdicts, len(pauses(agent, longest=60, shortest=0.45)), count


def _text_for(minutes: int) -> str:
    """Longer than the call: some six seconds a sentence."""
    return " ".join(READING[n % len(READING)] for n in range(minutes * 60 // 5))


def _agreeing(count: int, minutes: int) -> str:
    steps = "".join(
        f"[[step]]\nbackchannel = {BACKCHANNELS[n % len(BACKCHANNELS)]!r}\nafter = {BACKCHANNEL_EVERY * (n + 1)}\n"
        for n in range(count)
    )
    head = 'title = "Listens to a long text"\npatience = 3.0\ngive_up = 60\n[voice]\npitch = 1.05\nseed = 3\n'
    rest = max(1, minutes * 60 - count * BACKCHANNEL_EVERY - 2)
    end = f"[[step]]\npause = {rest}\n[[step]]\nhang_up = true\nwait = false\n"
    return f'{head}[noise]\nkind = "babble"\nsnr_db = 15\n{steps}{end}'


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
