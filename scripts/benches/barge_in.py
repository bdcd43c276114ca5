"""How soon the agent is silent when talked over, and how often it pauses for nothing, both on a real line."""

from dataclasses import asdict, dataclass
from pathlib import Path

from loadtest.capture import Direction
from loadtest.report import Figure, percentile
from loadtest.wire import WireTurn, pauses, stream
from scripts.benches.common import Result, Setting, grown, samples
from scripts.onecall import place_call
from scripts.stack import Stack, StackOptions, running

CALLS, QUICK_CALLS = 4, 1
LISTENERS, QUICK_LISTENERS = 4, 1
MINUTES, QUICK_MINUTES = 2.5, 0.75
"""Of each call of a listener."""
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

[phrases]
silence = {again}

[limits]
call_seconds = 1800
silence_seconds = 2
silence_prompts = 10
"""
"""Whoever makes it stop is answered by the front desk; after two seconds of silence it reads on."""
VOICES = ((1.0, 1.05), (1.15, 0.9), (0.9, 1.12), (1.05, 0.84))
"""Speed and pitch of the listeners."""
SLACK = 60
"""Seconds after its script has ended in which a call must be over."""


@dataclass(frozen=True)
class Listened:
    """What became of the agent's reading while a listener agreed now and then, with babble behind."""

    minutes: float
    backchannels: int
    verdicts: float
    """Pauses that the agent itself has counted, whatever it took them for."""
    turns: int
    """Of the caller, as the agent has it: nobody meant one."""
    silences: int


async def run(setting: Setting) -> Result:
    """See the module."""
    calls, listeners, minutes = (
        (QUICK_CALLS, QUICK_LISTENERS, QUICK_MINUTES) if setting.quick else (CALLS, LISTENERS, MINUTES)
    )
    stops = await _interruptions(setting, calls)
    heard = await _listeners(setting, listeners, minutes)
    times = [turn.stop_time for turn in stops if turn.stop_time is not None and turn.stop_time < NO_STOP]
    total = sum(one.minutes for one in heard)
    figures = (
        Figure("caller talks over the agent → silence, p50", percentile(times, 0.5) * 1000, "ms"),
        Figure("caller talks over the agent → silence, p95", percentile(times, 0.95) * 1000, "ms", at_most=400,
               note=f"{len(times)} interruptions, at the relay"),
        Figure("interruptions that did not stop the agent", len(stops) - len(times), "", note=f"of {len(stops)}"),
        Figure("false pauses, as the agent counts them", sum(one.verdicts for one in heard), "",
               at_most=max(1, round(2 * total / 10)),
               note=f"{total:g} minutes of babble at 15 dB, {sum(one.backchannels for one in heard)} backchannels"),
        Figure("turns that nobody meant in that time", sum(one.turns for one in heard), ""),
        Figure("silences over 0.45 s on the line in that time", sum(one.silences for one in heard), "",
               note="pauses between sentences are shorter"),
    )  # fmt: skip
    return Result(figures, data={"stop_seconds": times, "listeners": [asdict(one) for one in heard]})


async def _interruptions(setting: Setting, calls: int) -> list[WireTurn]:
    """What happened each time the caller talked over an answer."""
    scenario = _written(setting.folder / "interruptions.toml", _interrupting())
    found: list[WireTurn] = []
    async with running(StackOptions(setting.folder / "data")) as stack:
        for number in range(calls):
            setting.tell(0.3 * number / calls, f"interruptions, call {number + 1} of {calls}")
            placed = await place_call(stack, str(scenario), setting.folder / f"interrupting-{number}")
            found += [turn for turn in placed.wire_turns() if turn.kind == "interrupt" and turn.stop_time is not None]
    return found


def _interrupting() -> str:
    steps = "".join(
        f"[[step]]\ninterrupt = {text!r}\nafter = {0.8 + 0.2 * (n % 4):.1f}\n" for n, text in enumerate(QUESTIONS)
    )
    head = 'title = "Talks over every answer"\n[voice]\nspeed = 1.1\npitch = 0.9\nseed = 7\n'
    return f'{head}[[step]]\nsay = "Can you tell me your opening hours?"\n{steps}[[step]]\nhang_up = true\n'


async def _listeners(setting: Setting, calls: int, minutes: float) -> list[Listened]:
    """Each hears the agent read for so many minutes."""
    agents = setting.folder / "agents"
    agents.mkdir()
    text = _text_for(minutes)
    _written(agents / "reader.toml", READER.format(greeting=_quoted(text), again=_quoted(text)))
    options = StackOptions(setting.folder / "reader", environment={"TRUNKLINE_AGENT_AGENTS": str(agents)})
    async with running(options) as stack:
        heard = []
        for number in range(calls):
            setting.tell(0.3 + 0.7 * number / calls, f"{minutes:g} minutes of babble, listener {number + 1} of {calls}")
            heard.append(await _listener(setting, stack, number, minutes))
        return heard


async def _listener(setting: Setting, stack: Stack, number: int, minutes: float) -> Listened:
    count = int(minutes * 60 - 10) // BACKCHANNEL_EVERY
    scenario = _written(setting.folder / f"listener-{number}.toml", _agreeing(count, minutes, number))
    before = samples(await stack.metrics())
    placed = await place_call(stack, str(scenario), setting.folder / f"babble-{number}", longest=minutes * 60 + SLACK)
    verdicts = grown(before, samples(await stack.metrics()), "trunkline_interruptions_total")
    agent = stream(placed.packets, Direction.TO_CALLER)
    turns = sum(bool(turn["caller"]) for turn in placed.record["turns"])
    return Listened(minutes, count, verdicts, turns, len(pauses(agent, longest=60, shortest=0.45)))


def _text_for(minutes: float) -> str:
    """Longer than the call: some six seconds a sentence."""
    return " ".join(READING[n % len(READING)] for n in range(int(minutes * 60) // 5))


def _agreeing(count: int, minutes: float, number: int) -> str:
    """A listener's scenario. It goes by the clock: whatever the agent does, it ends after so many minutes."""
    speed, pitch = VOICES[number % len(VOICES)]
    words = [BACKCHANNELS[(n + number) % len(BACKCHANNELS)] for n in range(count)]
    steps = "".join(f"[[step]]\nbackchannel = {word!r}\nafter = {BACKCHANNEL_EVERY}\nwait = false\n" for word in words)
    rest = max(1, minutes * 60 - count * (BACKCHANNEL_EVERY + 0.5))
    end = f"[[step]]\npause = {rest:g}\n[[step]]\nhang_up = true\nwait = false\n"
    head = f'title = "Listens to a long text"\n[voice]\nspeed = {speed}\npitch = {pitch}\nseed = {number + 3}\n'
    return f'{head}[noise]\nkind = "babble"\nsnr_db = 15\n{steps}{end}'


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
