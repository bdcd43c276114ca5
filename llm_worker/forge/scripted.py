"""The callers written by hand: their lines, said when they are asked for."""

import random
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from functools import partial

from llm_worker.forge.dialogue import Dialogue, Entry, Wish, desks
from llm_worker.forge.ear import Ask, Heard
from llm_worker.forge.exercise import Allowed, CallerLike, Exercise
from llm_worker.forge.grammar import Piece
from llm_worker.forge.hours import Hours, parse_open
from llm_worker.forge.noise import disturb
from llm_worker.forge.plan import Expect, Option, Wanted, WantedNote
from llm_worker.forge.turn import UNSPOKEN, Turn
from llm_worker.forge.world import Setup, tools

NUMBER_OF_CALL = "5550199"
"""From which all of them call."""
LONGEST = 30
MOST_SAME = 5
"""Answers to the same question, before the caller hangs up."""
_HELPLESS = "Sorry, what?"
Hear = Mapping[str, str]
"""What the recogniser made of a line, by line."""


class ScriptedCaller:
    """Says the lines of a dialogue. `hear` tells what arrives of each."""

    def __init__(
        self, dialogue: Dialogue, hear: Hear, draw: random.Random | None = None, strength: float = 0.0
    ) -> None:
        self._dialogue = dialogue
        self._hear = hear
        self._draw = draw
        self._strength = strength
        self._at = 0
        self._turns_of_wish = 1
        self._turns = 1
        self._used: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._answered = False
        self.leaving = False
        self.gave_up = False
        self.cut_in = False

    def begin(self) -> Turn:
        """The first wish."""
        return self._turn(self._wish.open)

    def reply(self, heard: Heard) -> Turn | None:
        """The line for what is asked."""
        self._turns += 1
        self._turns_of_wish += 1
        if self.leaving or self._turns > LONGEST:
            self.gave_up = self.gave_up or not self.leaving
            return None
        if aside := self._wish.asides.get(self._turns_of_wish):
            return self._turn(aside)
        if self._over(heard):
            return self._next()
        asked = self._kind(heard)
        self._asked[asked] = self._asked.get(asked, 0) + 1
        if self._asked[asked] > MOST_SAME:
            self.gave_up = self.leaving = True
            return self._turn("Never mind. Goodbye.")
        return self._turn(self._line(asked))

    @property
    def _wish(self) -> Wish:
        return self._dialogue.wish[self._at]

    def _over(self, heard: Heard) -> bool:
        """Whether the wish has had its answer."""
        if heard.missed:
            return False
        match self._wish.until:
            case "answer":
                return True
            case "confirm":
                return heard.ask is Ask.CONFIRM
            case _:
                self._answered = self._answered or heard.done
                return heard.goodbye or (self._answered and heard.ask in (Ask.MORE, Ask.OTHER))

    def _next(self) -> Turn:
        if self._at + 1 == len(self._dialogue.wish):
            self.leaving = True
            return self._turn(self._wish.bye)
        self._at += 1
        self._turns_of_wish, self._answered = 1, False
        self._used, self._asked = {}, {}
        return self._turn(self._wish.open)

    def _kind(self, heard: Heard) -> str:
        """Which of the script's lists answers this."""
        if heard.ask is Ask.CONFIRM:
            return "wrong" if self._misread(heard) else "confirm"
        return {Ask.SPELL: "name", Ask.SAME_NUMBER: "number", Ask.CHANGE: "wrong"}.get(heard.ask, heard.ask.value)

    def _misread(self, heard: Heard) -> bool:
        facts = self._wish.facts
        if facts.name and heard.names(facts.name) is False:
            return True
        known = [date.fromisoformat(day) for day in [facts.day, *(entry[1] for entry in self._dialogue.booked)] if day]
        if facts.day and heard.dates and date.fromisoformat(facts.day) not in heard.dates:
            return True
        if any(day not in known for day in heard.dates) and bool(facts.day):
            return True
        if facts.time and heard.times and time.fromisoformat(facts.time) not in heard.times:
            return True
        digits = "".join(re.findall(r"\d", heard.text))
        return bool(facts.number) and len(digits) >= 5 and facts.number not in digits

    def _line(self, asked: str) -> str:
        """The next of the lines for it; the last one is said again and again."""
        say = self._wish.say
        lines = say.get(asked)
        if lines is None:
            lines = self._fallback(asked)
        number = self._used.get(asked, 0)
        self._used[asked] = number + 1
        return lines[min(number, len(lines) - 1)]

    def _fallback(self, asked: str) -> tuple[str, ...]:
        """What anybody would say who has no line of its own for a question."""
        say = self._wish.say
        match asked:
            case "confirm":
                return ("Yes, that's right.", "Yes.")
            case "wrong":
                parts = [say[key][-1] for key in ("name", "day", "time", "number") if key in say]
                return (f"No, that's not right. {' '.join(parts)}",)
            case "offer_message":
                return ("Yes, please.",) if self._dialogue.messages else ("No, thanks.",)
            case "more" | "repeat" | "other":
                return (say.get("more") or (self._wish.open,)) if asked == "more" else (self._wish.open,)
            case "which" if "day" in say:
                return say["day"]
            case _:
                return (_HELPLESS,)

    def _turn(self, line: str) -> Turn:
        silent = line.startswith(UNSPOKEN)
        said = line.removeprefix(UNSPOKEN).strip()
        heard = self._hear.get(said, said)
        if self._draw is not None and heard == said:
            pieces, _ = disturb([Piece(said)], self._draw, self._strength)
            heard = pieces[0].text or said
        return Turn(heard, silent=silent)


def exercise(dialogue: Dialogue, hear: Hear, draw: random.Random | None = None, strength: float = 0.0) -> Exercise:
    """A dialogue as an exercise."""
    desk = desks()[dialogue.practice]
    caller: Callable[[], CallerLike] = partial(ScriptedCaller, dialogue, hear, draw, strength)
    setup = Setup(
        hours=Hours(parse_open(desk.open), desk.slot_minutes),
        now=dialogue.now,
        tools=tools(desk.tools, desk.transfer),
        booked=dialogue.booked,
        caller=NUMBER_OF_CALL,
    )
    facts = [wish.facts for wish in dialogue.wish]
    entries = (*dialogue.adds, *dialogue.removes, *dialogue.booked)
    told = [(fact.name, fact.day, fact.time) for fact in facts if fact.day and fact.time]
    return Exercise(
        id=dialogue.id,
        flow=dialogue.id.split("-")[0],
        desk=dialogue.practice,
        prompt=desk.prompt,
        greeting=desk.greeting,
        setup=setup,
        expect=_expect(dialogue),
        allowed=Allowed(
            names=tuple({entry[0] for entry in entries} | {fact.name for fact in facts if fact.name}),
            times=tuple(_option(entry) for entry in (*entries, *told)),
            numbers=tuple(fact.number for fact in facts if fact.number),
        ),
        caller=caller,
        declines=dialogue.id in DECLINING,
    )


DECLINING = frozenset(
    {
        "question-price-unknown", "question-insurance", "question-do-you-see-birds", "wrong-number", "medical-advice",
        "out-of-scope-weather", "someone-elses-appointment-details",
    }
)  # fmt: skip


def _expect(dialogue: Dialogue) -> Expect:
    return Expect(
        adds=tuple(_wanted(entry) for entry in dialogue.adds),
        removes=tuple(_wanted(entry) for entry in dialogue.removes),
        messages=tuple(WantedNote(note.name, note.number, note.about) for note in dialogue.messages),
        transfer=dialogue.transfer,
        says=dialogue.says,
        never=dialogue.never,
    )


def _wanted(entry: Entry) -> Wanted:
    first, _, last = entry[2].partition("-")
    return Wanted(entry[0], entry[1], first, last or first)


def _option(entry: Entry) -> Option:
    wanted = _wanted(entry)
    return Option(date.fromisoformat(wanted.day), time.fromisoformat(wanted.first), time.fromisoformat(wanted.last))
