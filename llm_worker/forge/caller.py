"""A caller by rules: has a plan, listens, answers, corrects, changes its mind, loses patience."""

import re
from dataclasses import replace

from llm_worker.forge import speech
from llm_worker.forge.ear import Ask, Heard
from llm_worker.forge.phrases import phrase
from llm_worker.forge.plan import ON_THE_BOOK, Kind, Option, Wish
from llm_worker.forge.speaking import Speaking
from llm_worker.forge.turn import Turn

LONGEST = 30
"""Turns of a caller with much patience."""
MOST_TRIES = 4
"""Corrections of the same thing, and answers to the same question, before the caller hangs up."""
_ONE_SHOT = frozenset(Kind) - ON_THE_BOOK - {Kind.MESSAGE, Kind.PERSON}


class Caller(Speaking):
    """One call."""

    def begin(self) -> Turn:
        """The first words."""
        self._turns = 1
        return self._opening()

    def reply(self, heard: Heard) -> Turn | None:
        """What the caller says next; None: hangs up."""
        self._turns += 1
        self.cut_in = False
        self._settled = self._settled or heard.done
        if self.leaving or self._turns > LONGEST:
            self.gave_up = self.gave_up or not self.leaving
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

    def _bye(self) -> Turn:
        self.leaving = True
        return self._say("say.bye")

    def _give_up(self) -> Turn:
        self.gave_up = True
        self.leaving = True
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
                self._settled = wish.absent
                return self._say("say.offer.yes" if wish.kind is Kind.MESSAGE else "say.offer.no")
            case _:
                return self._corrected(heard)

    def _one_shot(self, heard: Heard) -> Turn:
        if self._wish.kind is Kind.WRONG:
            self.leaving = True
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
        return self._say("say.keep" if self._wish.kind is Kind.MOVE else "say.nevermind")

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


def _digits(text: str) -> str:
    """The longest telephone number that is read out in a text; empty: none of five digits or more."""
    runs = re.findall(r"\d(?:[\s,.-]*\d){4,}", text)
    return max((re.sub(r"\D", "", run) for run in runs), key=len, default="")
