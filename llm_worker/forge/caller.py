"""A caller by rules: has a plan, listens, answers, corrects, changes its mind, loses patience."""

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from typing import Any

from llm_worker.forge import speech
from llm_worker.forge.ear import Ask, Heard
from llm_worker.forge.grammar import Piece
from llm_worker.forge.noise import disturb
from llm_worker.forge.phrases import fact_values, name_values, phrase, sample
from llm_worker.forge.plan import ON_THE_BOOK, Kind, Option, Plan, Wish
from llm_worker.forge.turn import Turn, turn

LONGEST = 30
"""Turns of a caller with much patience."""
MOST_TRIES = 4
"""Corrections of the same thing, and answers to the same question, before the caller hangs up."""
_HESITATIONS = ("Um, ", "Uh, ", "Well, ", "Er, ", "So, um, ", "Hmm, ")
_ONE_SHOT = frozenset(Kind) - ON_THE_BOOK - {Kind.MESSAGE, Kind.PERSON}
_ASIDES = {"question": "question.hours", "garbled": "garbled", "silence": "aside.here", "cut": "aside.repeat"}


class Caller:
    """One call. `strength` of the recogniser's errors: 0 for none."""

    def __init__(self, plan: Plan, draw: random.Random, strength: float = 0.0) -> None:
        self._plan = plan
        self._draw = draw
        self._strength = strength
        self._today = plan.setup.now.date()
        self._at = 0
        """Which wish it is about."""
        self._option = 0
        self._told: set[str] = set()
        """Slots that have been said of the wish as it stands."""
        self._tries: dict[str, int] = {}
        self._turns = 0
        self._open: Heard | None = None
        """The last question that is still to be answered."""
        self._settled = False
        """The wish has been dropped, or the front desk says that it is done."""
        self._last = ""
        """Act of the last answer."""
        self._leaving = False
        self.cut_in = False
        """The last words were said over those of the front desk."""
        self.gave_up = False
        """The caller has hung up without having got what it wanted."""

    def begin(self) -> Turn:
        """The first words."""
        self._turns = 1
        return self._opening()

    def reply(self, heard: Heard) -> Turn | None:
        """What the caller says next; None: hangs up."""
        self._turns += 1
        self.cut_in = False
        self._settled = self._settled or heard.done
        if self._leaving or self._turns > LONGEST:
            self.gave_up = self.gave_up or not self._leaving
            return None
        if heard.goodbye:
            return self._bye() if self._at == len(self._plan.wishes) - 1 else self._give_up()
        if aside := self._plan.asides.get(self._turns):
            self._open = heard if heard.ask is not Ask.OTHER else self._open
            return self._aside(aside)
        if heard.ask is Ask.OTHER and not heard.done and self._open is not None:
            heard = self._open  # "take your time": the question before is still open
        self._open = heard
        return self._answer(heard)

    # -- what is said ------------------------------------------------------------------------------------------------

    @property
    def _wish(self) -> Wish:
        return self._plan.wishes[self._at]

    @property
    def _now_wanted(self) -> Option | None:
        wish = self._wish
        return wish.options[self._option] if wish.options else None

    def _values(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Words for the slots, and what they mean. Only what the wish has."""
        wish, draw = self._wish, self._draw
        words = name_values(wish.who, draw) | fact_values(self._plan.practice, self._plan.split, draw)
        meant: dict[str, Any] = {}
        option = self._now_wanted
        if option is not None:
            meant["day"] = option.day
            if option.exact:
                meant["time"] = option.first
            else:
                meant["part"] = (option.first, option.last)
                words["part"] = speech.part_of_day(option.first, option.last, draw)
        if wish.old is not None:
            meant |= {"oldday": wish.old.day, "oldtime": wish.old.first}
        if wish.soonest:
            meant, words = {}, {key: word for key, word in words.items() if key not in ("day", "time")}
        words |= {slot: self._word(slot, value) for slot, value in meant.items() if slot != "part"}
        if wish.service:
            words["service"] = meant["service"] = wish.service
        elif wish.kind is Kind.QUESTION:
            words["service"] = meant["service"] = wish.service or words["service"]
        else:
            words.pop("service", None)
        for slot in ("text", "number"):
            if value := getattr(wish, slot):
                meant[slot] = value
                words[slot] = speech.number_aloud(value, draw) if slot == "number" else value
        if wish.kind is Kind.PERSON:
            words["target"] = f"the {wish.target}" if wish.target else "the manager"
            meant["target"] = wish.target
        return words, meant

    def _word(self, slot: str, value: date | time) -> str:
        if isinstance(value, time):
            return speech.spoken_time(value, self._draw)
        return speech.spoken_day(value, self._today, self._draw)

    def _say(self, act: str, before: str = "", *, only: frozenset[str] | None = None) -> Turn:
        """One phrase of an act, through the noise. `before`: an act whose words come first."""
        words, meant = self._values()
        usable = words if only is None else {slot: word for slot, word in words.items() if slot in only}
        try:
            pieces = phrase(act, self._plan.split, self._draw, usable)
        except LookupError:  # asked for something that this caller has no wish about
            act, pieces = "say.no", phrase("say.no", self._plan.split, self._draw, {})
        self._last = act
        if before:
            pieces = [*phrase(before, self._plan.split, self._draw, {}), *_small(pieces)]
        if self._draw.random() < self._plan.hesitation:
            pieces = [Piece(self._draw.choice(_HESITATIONS)), *_small(pieces)]
        return self._spoken(act, pieces, meant)

    def _spoken(self, act: str, pieces: list[Piece], meant: Mapping[str, Any]) -> Turn:
        self._told |= {piece.slot for piece in pieces if piece.slot}
        heard, changed = disturb(pieces, self._draw, self._strength) if self._strength else (pieces, frozenset[int]())
        return turn((act,), heard, meant, self._today, changed)

    def _opening(self, before: str = "") -> Turn:
        self._told, self._option, self._open, self._settled = set(), 0, None, False
        wish = self._wish
        act = f"question.{wish.topic}" if wish.kind is Kind.QUESTION else f"open.{wish.kind}"
        act = "open.booksoon" if wish.soonest and wish.kind is Kind.BOOK else act
        return self._say(act, before)

    def _aside(self, aside: str) -> Turn:
        self.cut_in = aside == "cut"
        act = _ASIDES.get(aside, f"aside.{aside}")
        said = self._spoken(act, sample(self._draw, self._plan.split, act), {})
        return Turn(said.text, said.acts, said.values, said.lost, silent=aside == "silence")

    def _bye(self) -> Turn:
        self._leaving = True
        return self._say("say.bye")

    def _give_up(self) -> Turn:
        self.gave_up = True
        self._leaving = True
        return self._say("say.nevermind")

    def _next(self) -> Turn:
        """The next wish, or goodbye."""
        if self._at + 1 == len(self._plan.wishes):
            return self._bye()
        self._at += 1
        self._tries = {}
        return self._opening("say.next")

    # -- what it depends on ------------------------------------------------------------------------------------------

    def _answer(self, heard: Heard) -> Turn:
        """To one turn of the front desk."""
        wish = self._wish
        if self._settled:
            return self._next()
        tries = self._tries[heard.ask] = self._tries.get(heard.ask, 0) + 1
        if tries > MOST_TRIES + (2 if heard.ask in (Ask.CONFIRM, Ask.TIME, Ask.DAY) else 0):
            return self._give_up()
        if heard.ask is Ask.REPEAT or (heard.missed and heard.ask is Ask.MORE):
            return self._again()
        if wish.kind is Kind.PERSON:
            return self._person(heard)
        if wish.kind in _ONE_SHOT:
            return self._one_shot(heard)
        match heard.ask:
            case Ask.CONFIRM:
                return self._confirm(heard)
            case Ask.DAY:
                return self._day(heard)
            case Ask.TIME:
                return self._time(heard)
            case Ask.MORE | Ask.OTHER:
                return self._next() if heard.done else self._lost(heard)
            case Ask.NAME | Ask.SPELL:
                return self._say("say.spelled" if heard.ask is Ask.SPELL or tries > 2 else "say.name")
            case Ask.WHICH:
                return self._say("say.which" if wish.old else "say.day")
            case Ask.SAME_NUMBER if not wish.number:
                return self._say("say.samenumber")
            case Ask.NUMBER | Ask.SAME_NUMBER:
                return self._say("say.number") if wish.number else self._say("say.samenumber")
            case Ask.MESSAGE:
                return self._say("say.text") if wish.text else self._lost(heard)
            case Ask.OFFER_MESSAGE:
                return self._say("say.offer.yes" if wish.kind is Kind.MESSAGE else "say.offer.no")
            case _:
                return self._corrected(heard)

    def _one_shot(self, heard: Heard) -> Turn:
        if self._wish.kind is Kind.WRONG:
            self._leaving = True
            return self._say("say.wrongnumber")
        if heard.ask is Ask.OFFER_MESSAGE and self._at + 1 < len(self._plan.wishes):
            return self._say("say.offer.no")
        return self._next()

    def _person(self, heard: Heard) -> Turn:
        if heard.ask is Ask.CONFIRM:
            return self._say("say.offer.yes")
        if heard.ask is Ask.OFFER_MESSAGE:
            return self._say("say.offer.no")
        if self._wish.target and not heard.refused:
            return self._again()
        return self._next()

    def _again(self) -> Turn:
        """What was said last, in other words."""
        return self._say(self._last) if self._last.startswith(("say", "fix")) else self._opening()

    def _lost(self, heard: Heard) -> Turn:
        """The front desk has forgotten what it is about, or says that something cannot be done."""
        if heard.refused and self._tries.get("refused", 0) >= 1:
            return self._give_up()
        if heard.refused:
            self._tries["refused"] = 1
            return self._say("say.spelled") if self._wish.old else self._say("say.day")
        return self._opening()

    def _confirm(self, heard: Heard) -> Turn:
        """A yes if all that is read back is right; else what is wrong."""
        wish = self._wish
        if wrong := self._wrong(heard):
            return self._fix(wrong)
        if wish.drop and wish.kind in ON_THE_BOOK:
            return self._dropped()
        if wish.change is not None and wish.change not in wish.options:
            return self._changed(wish)
        return self._say("say.yes")

    def _changed(self, wish: Wish) -> Turn:
        """Another day or time after all: it takes the place of the wish, once."""
        if self._tries.get("changed"):
            return self._say("say.yes")
        self._tries["changed"] = 1
        same = self._now_wanted is not None and wish.change is not None and self._now_wanted.day == wish.change.day
        self._replace(wish)
        return self._say("change.time" if same else "change.day", only=frozenset({"time" if same else "day"}))

    def _replace(self, wish: Wish) -> None:
        assert wish.change is not None
        changed = replace(wish, options=(wish.change,))
        wishes = (*self._plan.wishes[: self._at], changed, *self._plan.wishes[self._at + 1 :])
        self._plan = replace(self._plan, wishes=wishes)
        self._option = 0
        self._told -= {"day", "time"}

    def _dropped(self) -> Turn:
        self._settled = True
        return self._say("say.nevermind")

    def _wrong(self, heard: Heard) -> str:
        """Which part of what was read back is not what the caller wants; empty: none."""
        wish, option = self._wish, self._now_wanted
        if heard.names(wish.who.name) is False:
            return "name"
        if wish.kind is Kind.MESSAGE:
            return "number" if wish.number and _digits(heard.text) not in ("", wish.number) else ""
        days = {day for day in (option.day if option else None, wish.old.day if wish.old else None) if day}
        if any(day not in days for day in heard.dates) or (
            not heard.dates and heard.weekdays and not {day.weekday() for day in days} & set(heard.weekdays)
        ):
            return "day"
        if option is not None and heard.dates and option.day not in heard.dates:
            return "day"
        old = wish.old.first if wish.old else None
        if option is None:
            return "time" if heard.times and old not in heard.times else ""
        fits = [at for at in heard.times if option.first <= at <= option.last]
        return "time" if heard.times and not fits else ""

    def _fix(self, wrong: str) -> Turn:
        tries = self._tries[f"wrong {wrong}"] = self._tries.get(f"wrong {wrong}", 0) + 1
        if tries > MOST_TRIES:
            return self._give_up()
        if wrong == "name" and tries > 1:
            return self._say("say.spelled")
        option = self._now_wanted
        if self._wish.soonest and wrong != "name":
            return self._say("say.noday")
        if wrong in ("day", "time") and (option is None or (wrong == "time" and not option.exact)):
            return self._say("say.part") if option else self._say("say.which")
        return self._say(f"fix.{wrong}")

    def _corrected(self, heard: Heard) -> Turn:
        """Asked what should be changed."""
        option = self._now_wanted
        if option is None:
            return self._say("say.name")
        return self._say("say.day" if "day" not in self._told else "say.time" if option.exact else "say.part")

    # -- days and times ----------------------------------------------------------------------------------------------

    def _day(self, heard: Heard) -> Turn:
        wish, option = self._wish, self._now_wanted
        if wish.soonest:
            return self._say("say.noday")
        if option is None:
            return self._say("say.offer.no")
        if heard.refused and "day" in self._told and not self._move_on():
            return self._give_up()
        return self._say("say.day")

    def _move_on(self) -> bool:
        """To the next option; False when there is none."""
        if self._option + 1 >= len(self._wish.options):
            return False
        self._option += 1
        self._told -= {"day", "time"}
        return True

    def _time(self, heard: Heard) -> Turn:
        option = self._now_wanted
        if self._wish.soonest:
            return self._say("say.first")
        if option is None:
            return self._say("say.which")
        if not option.exact:
            return self._part(option, heard)
        if option.first in heard.times and not heard.refused:
            return self._say("say.time")
        if "time" in self._told and (heard.refused or heard.times):
            before = option
            if not self._move_on():
                return self._say("say.time") if self._tries[Ask.TIME] < MOST_TRIES else self._give_up()
            wanted = self._now_wanted
            return self._say("say.time" if wanted and wanted.day == before.day else "change.day")
        return self._say("say.time")

    def _part(self, option: Option, heard: Heard) -> Turn:
        """Any time of a part of the day: one of those offered, or ask for others."""
        fitting = [at for at in heard.times if option.first <= at <= option.last]
        if fitting:
            if fitting[0] == heard.times[0] and self._draw.random() < 0.5:
                return self._say("say.first")
            if fitting[-1] == heard.times[-1] and len(heard.times) > 1 and self._draw.random() < 0.3:
                return self._say("say.last")
            at = self._draw.choice(fitting)
            words = {"time": speech.spoken_time(at, self._draw)}
            return self._spoken("say.time", phrase("say.time", self._plan.split, self._draw, words), {"time": at})
        if "part" in self._told and heard.times and self._tries[Ask.TIME] % 2 == 0:
            return self._say("say.later")
        return self._say("say.part")


def _small(pieces: list[Piece]) -> list[Piece]:
    """The pieces as the rest of a sentence: no capital at the beginning, unless it is a name or "I"."""
    first = pieces[0]
    word = first.text.split(maxsplit=1)[0] if first.text.strip() else ""
    if first.slot or word.startswith("I"):
        return pieces
    return [Piece(first.text[:1].lower() + first.text[1:]), *pieces[1:]]


def _digits(text: str) -> str:
    """The longest telephone number that is read out in a text; empty: none of five digits or more."""
    runs = re.findall(r"\d(?:[\s,.-]*\d){4,}", text)
    return max((re.sub(r"\D", "", run) for run in runs), key=len, default="")
