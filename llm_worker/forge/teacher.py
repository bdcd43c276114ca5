"""The front desk that training conversations show: asks for what is missing, offers what the calendar gave, reads back,
writes only after a yes. It is told what the caller's words say; a model has to find that out."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any

from llm_worker.backends.frontdesk import say
from llm_worker.forge import speech
from llm_worker.forge.grammar import load, sentence
from llm_worker.forge.hours import WEEKDAYS
from llm_worker.forge.practice import Practice, spans_aloud
from llm_worker.forge.turn import Turn

OFFERED = 3
"""Times in one answer."""
FURTHEST = 21
"""Days that are searched for the first free slot."""
_ON_THE_BOOK = {"book": "book_appointment", "move": "move_appointment", "cancel": "cancel_appointment"}
Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Calls a tool: its name, its arguments; gives the result."""
Call = tuple[str, dict[str, Any]]


@dataclass
class Task:
    """What is being arranged. Empty and None: not known yet."""

    kind: str = ""
    name: str = ""
    day: date | None = None
    at: time | None = None
    part: tuple[time, time] | None = None
    soonest: bool = False
    old_day: date | None = None
    old_time: time | None = None
    service: str = ""
    text: str = ""
    number: str = ""
    number_known: bool = False
    agreed: bool = False
    not_found: int = 0


@dataclass
class Slots:
    """What the calendar gave last."""

    day: date | None = None
    free: list[time] = field(default_factory=list)
    shown: list[time] = field(default_factory=list)


class Teacher:
    """One call. `ask` carries out tool calls."""

    def __init__(self, practice: Practice, now: datetime, draw: random.Random, ask: Ask) -> None:
        self._practice = practice
        self._now = now
        self._draw = draw
        self._ask = ask
        self._task = Task()
        self._slots = Slots()
        self._awaiting = "help"
        """What was asked last; its question is asked again after whatever comes between."""
        self._misses = 0
        self._done = False
        self._last = ""
        self._closing: tuple[Call, ...] = ()

    def answer(self, turn: Turn) -> tuple[str, tuple[Call, ...]]:
        """The words of the answer, and the call that ends the conversation with them, if any."""
        self._closing = ()
        if turn.acts == ("aside.repeat",) and self._last and self._draw.random() < 0.5:
            return self._words("repeat", last=self._last), ()
        said = self._take(turn)
        self._last = said
        return said, self._closing

    # -- words -------------------------------------------------------------------------------------------------------

    def _words(self, act: str, **values: str) -> str:
        first = self._task.name.split()[0] if self._task.name else ""
        known = {"practice": self._practice.name, "what": self._practice.what, "people": self._practice.people}
        known |= {"first": first} if first else {}
        options = load("assistant")[act]
        fitting = [option for option in options if "{first}" not in option or first]
        return sentence(self._draw.choice(fitting), self._draw, known | values)

    def _when(self, day: date | None = None, at: time | None = None) -> str:
        return say.when(day or self._task.day, at or self._task.at)

    def _question(self, awaiting: str) -> str:
        """Ask, and remember what was asked."""
        self._awaiting = awaiting
        task = self._task
        match awaiting:
            case "choice" if self._slots.shown and self._slots.day:
                one = "_one" if len(self._slots.shown) == 1 else ""
                offer = self._words(f"offer{one}", day=say.day(self._slots.day), slots=_listed(self._slots.shown))
                return f"{offer} {self._words(f'ask_choice{one}')}"
            case "choice":
                return self._words("ask_time")
            case "confirm":
                return self._summary()
            case "name":
                return self._words(
                    {"move": "ask_name_move", "cancel": "ask_name_move", "message": "ask_name_message"}.get(
                        task.kind, "ask_name"
                    )
                )
            case "day":
                return self._words("ask_new_day" if task.kind == "move" else "ask_day")
            case "ambiguous":
                return self._words("ask_ambiguous")
            case "help" | "more" | "text" | "same_number" | "number" | "which" | "spell" | "other_day" | "change":
                return self._words(f"ask_{awaiting}")
            case "offer_message":
                return self._words("offer_message")
            case _:
                return ""

    def _summary(self) -> str:
        task = self._task
        match task.kind:
            case "book" if task.service:
                return self._words("confirm_book_service", service=task.service, when=self._when(), name=task.name)
            case "cancel" if task.old_day:
                return self._words("confirm_cancel_when", when=say.when(task.old_day, task.old_time), name=task.name)
            case "message" if task.number:
                return self._words("confirm_message_number", name=task.name, digits=speech.digits_aloud(task.number))
            case _:
                return self._words(f"confirm_{task.kind}", when=self._when(), name=task.name)

    def _again(self, before: str) -> str:
        """By the way, then back to the open question."""
        return f"{before} {self._question(self._awaiting)}".strip()

    # -- what the caller does ----------------------------------------------------------------------------------------

    def _take(self, turn: Turn) -> str:
        act = turn.acts[0] if turn.acts else "garbled"
        group, _, what = act.partition(".")
        if act != "garbled" and not (turn.lost and not turn.values):
            self._misses = 0
        match group:
            case "open":
                return self._open(what, turn)
            case "question":
                return self._fact(what, turn.values)
            case "aside":
                return self._aside(what)
            case "garbled":
                return self._missed()
            case _:
                return self._said(what, group, turn)

    def _open(self, what: str, turn: Turn) -> str:
        match what:
            case "book" | "booksoon" | "move" | "cancel" | "message":
                kind = what.removesuffix("soon")
                self._task = Task(kind, name=self._task.name if kind == "message" else "", soonest=what == "booksoon")
                self._slots = Slots()
                self._fill(turn)
                return self._go_on(self._words("ack"))
            case "person":
                return self._person(str(turn.values.get("target", "")))
            case "unknown" | "lookup":
                return f"{self._words(what)} {self._question('offer_message')}"
            case "emergency":
                self._awaiting = ""
                return self._words(
                    "emergency" if self._practice.emergency else "emergency_none", emergency=self._practice.emergency
                )
            case "advice":
                self._task, self._awaiting = Task("book"), "day"
                return f"{self._words('advice')} {self._words('advice_offer')}"
            case "wrongnumber":
                self._awaiting = ""
                return self._words("wrong_number")
            case _:
                return f"{self._words(what)} {self._question('more' if self._done else 'help')}"

    def _person(self, target: str) -> str:
        targets = self._practice.targets
        if not targets:
            return f"{self._words('no_person')} {self._question('offer_message')}"
        chosen = target if target in targets else targets[0]
        self._closing = (("transfer_call", {"target": chosen}),)
        return self._words("transfer", target=chosen)

    def _aside(self, what: str) -> str:
        match what:
            case "wait":
                return self._words("wait")
            case "thanks":
                return self._again(self._words("welcome"))
            case "repeat":
                return self._question(self._awaiting)
            case _:
                return self._again(self._words(what))

    def _missed(self) -> str:
        self._misses += 1
        if self._misses >= 3:
            self._misses = 0
            return f"{self._words('garbled')} {self._question('offer_message')}"
        return self._again(self._words("garbled"))

    def _said(self, what: str, group: str, turn: Turn) -> str:
        """An answer within a task, or a yes, a no, a goodbye."""
        match what:
            case "bye" | "wrongnumber":
                return self._goodbye()
            case "nevermind" | "keep":
                kept = "keep" if what == "keep" or self._task.kind == "move" else "never_mind"
                self._task = Task()
                return f"{self._words(kept)} {self._question('more')}"
            case "yes" | "offer.yes" | "samenumber":
                return self._agreed()
            case "no" | "offer.no":
                return self._denied()
            case "noday":
                self._task.soonest = True
                return self._go_on()
            case "first" | "last" if self._slots.shown:
                self._pick(self._slots.shown[0 if what == "first" else -1])
                return self._go_on()
            case "later":
                return self._later()
        if turn.lost and not set(turn.values) - {"spelt"}:
            return self._missed()
        if not self._task.kind and {"day", "time"} & turn.values.keys():
            self._task = Task("book")
        self._fill(turn, group)
        return self._go_on(
            self._words("thanks") if what in ("name", "spelled", "number") and self._draw.random() < 0.5 else ""
        )

    def _agreed(self) -> str:
        match self._awaiting:
            case "confirm":
                self._task.agreed = True
                return self._carry_out()
            case "same_number":
                self._task.number_known = True
                return self._go_on()
            case "offer_message":
                self._task = Task("message", name=self._task.name)
                return self._go_on()
            case "choice" if len(self._slots.shown) == 1:
                self._pick(self._slots.shown[0])
                return self._go_on()
            case _:
                return self._question(self._awaiting or "help")

    def _denied(self) -> str:
        match self._awaiting:
            case "confirm":
                return self._question("change")
            case "same_number":
                return self._question("number")
            case "offer_message":
                self._task = Task()
                return self._question("more")
            case "more" | "help":
                return self._goodbye()
            case _:
                self._task = Task()
                return f"{self._words('never_mind')} {self._question('more')}"

    def _goodbye(self) -> str:
        self._closing = (("end_call", {}),)
        return self._words("bye_booked" if self._done and self._draw.random() < 0.3 else "bye")

    # -- what is known -----------------------------------------------------------------------------------------------

    def _fill(self, turn: Turn, group: str = "") -> None:
        """Take over what was said."""
        task, values = self._task, turn.values
        if name := values.get("name"):
            task.name = str(name)
        elif family := values.get("family"):
            task.name = " ".join([*task.name.split()[:1], str(family)])
        if self._awaiting in ("which", "ambiguous") and task.kind in ("move", "cancel"):
            task.old_day = values.get("oldday", values.get("day", task.old_day))
            task.old_time = values.get("oldtime", values.get("time", task.old_time))
            return
        task.old_day, task.old_time = values.get("oldday", task.old_day), values.get("oldtime", task.old_time)
        if (day := values.get("day")) and day != task.day:
            task.day, self._slots = day, Slots()
            task.soonest = False
        task.at = values.get("time", task.at)
        if "part" in values:
            task.part, task.at, self._slots = values["part"], None, Slots()
        if "service" in values and task.kind == "book":
            task.service = self._service(str(values["service"]))
        if task.kind == "message":
            # The message is the caller's own words, whole.
            task.text = turn.text if "text" in values else task.text
            if "number" in values:
                task.number, task.number_known = str(values["number"]), True

    def _service(self, said: str) -> str:
        near = get_close_matches(said.lower(), list(self._practice.prices), n=1, cutoff=0.75)
        return near[0] if near else ""

    def _pick(self, at: time) -> None:
        self._task.at = at

    # -- the next step -----------------------------------------------------------------------------------------------

    def _go_on(self, before: str = "") -> str:
        """Ask for what is missing, look for slots, or read back."""
        task = self._task
        step = {"book": self._book, "move": self._move, "cancel": self._cancel, "message": self._message}.get(task.kind)
        said = step() if step else self._question("help")
        return f"{before} {said}".strip()

    def _book(self) -> str:
        if problem := self._find_time():
            return problem
        return self._question("confirm" if self._task.name else "name")

    def _move(self) -> str:
        if not self._task.name:
            return self._question("name")
        if self._task.agreed:
            return self._carry_out()
        return self._find_time() or self._question("confirm")

    def _cancel(self) -> str:
        if not self._task.name:
            return self._question("name")
        return self._carry_out() if self._task.agreed else self._question("confirm")

    def _message(self) -> str:
        task = self._task
        if not task.text:
            return self._question("text")
        if not task.name:
            return self._question("name")
        return self._question("confirm" if task.number_known else "same_number")

    def _find_time(self) -> str:
        """What has to be said before day and time are settled; empty once they are."""
        task = self._task
        if task.soonest and task.day is None and not self._search():
            return f"{self._words('full', day='the next days')} {self._question('day')}"
        if task.day is None:
            return self._question("day")
        if task.at is not None:
            return "" if task.at in self._slots.free and self._slots.day == task.day else self._check(task.day, task.at)
        if self._slots.day != task.day:
            return self._offer(task.day)
        return self._question("choice")

    def _look(self, day: date, after: time | None = None) -> dict[str, Any]:
        arguments = {"day": day.isoformat()} | ({"after": f"{after:%H:%M}"} if after else {})
        result = self._ask("find_slots", arguments)
        self._slots = Slots(day, [time.fromisoformat(at) for at in result.get("slots", [])])
        return result

    def _search(self) -> bool:
        """Find the first day with something free."""
        for ahead in range(FURTHEST):
            day = self._now.date() + timedelta(days=ahead)
            if self._look(day).get("slots"):
                self._task.day = day
                self._show(self._slots.free)
                return True
        return False

    def _show(self, free: Sequence[time]) -> None:
        self._slots.shown = list(free[:OFFERED])

    def _offer(self, day: date) -> str:
        part = self._task.part
        result = self._look(day, part[0] if part and part[0] > time(0) else None)
        fitting = [at for at in self._slots.free if part is None or part[0] <= at <= part[1]]
        if not self._slots.free:
            return self._none(day, str(result.get("reason")))
        self._show(fitting or self._slots.free)
        return self._question("choice")

    def _check(self, day: date, at: time) -> str:
        """Whether the time that the caller named is free; if not, what is."""
        result = self._look(day, at)
        if at in self._slots.free:
            return ""
        self._task.at = None
        if not self._slots.free and result.get("reason") != "closed":
            result = self._look(day)
        if not self._slots.free:
            return self._none(day, str(result.get("reason")))
        self._show(self._slots.free)
        return f"{self._words('taken', time=say.clock(at), day=say.day(day))} {self._question('choice')}"

    def _none(self, day: date, reason: str) -> str:
        self._task.day = self._task.at = None
        self._slots = Slots()
        said = self._words({"closed": "closed", "past": "past"}.get(reason, "full"), day=say.day(day))
        return f"{said} {self._question('other_day')}"

    def _later(self) -> str:
        slots = self._slots
        if slots.day is None or not slots.shown:
            return self._question(self._awaiting)
        rest = [at for at in slots.free if at > slots.shown[-1]]
        if not rest:
            day, last = slots.day, slots.shown[-1]
            self._look(day, last)
            rest = [at for at in self._slots.free if at > last]
            if not rest:
                self._task.day, self._slots = None, Slots()
                return f"{self._words('full_after', day=say.day(day))} {self._question('other_day')}"
        self._show(rest)
        self._awaiting = "choice"
        return f"{self._words('offer_more', slots=_listed(self._slots.shown))} {self._words('ask_choice')}"

    # -- doing it ----------------------------------------------------------------------------------------------------

    def _carry_out(self) -> str:
        """Ask the tool for what was agreed, and tell the caller what came of it."""
        task = self._task
        if task.kind == "message":
            number = {"number": task.number} if task.number else {}
            self._ask("take_message", {"name": task.name, "text": task.text} | number)
            return self._finished("noted")
        result = self._ask(_ON_THE_BOOK[task.kind], self._arguments())
        match result.get("error"):
            case None:
                day, at = date.fromisoformat(result["day"]), time.fromisoformat(result["time"])
                act = {"book": "booked", "move": "moved", "cancel": "cancelled"}[task.kind]
                return self._finished(act, when=say.when(day, at))
            case "not_found":
                return self._unknown_appointment()
            case "ambiguous":
                fitting = [
                    (date.fromisoformat(one["day"]), time.fromisoformat(one["time"])) for one in result["appointments"]
                ]
                choices = say.choice([say.when(*one) for one in fitting[:OFFERED]], "and")
                return f"{self._words('ambiguous', choices=choices)} {self._question('ambiguous')}"
            case _:
                return self._refused(result)

    def _arguments(self) -> dict[str, Any]:
        task = self._task
        new = {"day": task.day.isoformat(), "time": f"{task.at:%H:%M}"} if task.day and task.at else {}
        old = {"day": task.old_day.isoformat()} if task.old_day else {}
        old |= {"time": f"{task.old_time:%H:%M}"} if task.old_time else {}
        match task.kind:
            case "book":
                return {"name": task.name, **new} | ({"reason": task.service} if task.service else {})
            case "move":
                return {"name": task.name, "new_day": new["day"], "new_time": new["time"], **old}
            case _:
                return {"name": task.name, **old}

    def _finished(self, act: str, **values: str) -> str:
        said = self._words(act, **values)
        self._task, self._slots, self._done = Task(), Slots(), True
        return f"{said} {self._question('more')}"

    def _unknown_appointment(self) -> str:
        task = self._task
        task.not_found += 1
        if task.not_found >= 3:
            return f"{self._words('not_found_still')} {self._question('offer_message')}"
        said = self._words("not_found", name=task.name)
        return f"{said} {self._question('spell' if task.not_found == 1 else 'which')}"

    def _refused(self, result: Mapping[str, Any]) -> str:
        self._task.at, self._task.agreed = None, False
        self._slots = Slots(self._task.day, [time.fromisoformat(at) for at in result.get("slots", [])])
        if not self._slots.free or self._task.day is None:
            self._task.day, self._slots = None, Slots()
            return f"{self._words('just_taken')} {self._question('other_day')}"
        self._show(self._slots.free)
        return f"{self._words('just_taken')} {self._question('choice')}"

    # -- questions ---------------------------------------------------------------------------------------------------

    def _fact(self, topic: str, values: Mapping[str, Any]) -> str:
        said = self._known(topic, values)
        if not said:
            return f"{self._words('unknown')} {self._question('offer_message')}"
        awaiting = "more" if self._awaiting in ("help", "", "offer_message") else self._awaiting
        return f"{said} {self._question(awaiting)}"

    def _known(self, topic: str, values: Mapping[str, Any]) -> str:
        where = self._practice
        match topic:
            case "hours" if "weekday" in values:
                day = get_close_matches(str(values["weekday"]).lower(), WEEKDAYS, n=1)
                if not day:
                    return self._words("hours", hours=where.hours_said)
                spans = where.hours.open.get(WEEKDAYS.index(day[0]))
                span = {"span": spans_aloud(spans)} if spans else {}
                return self._words("hours_day" if spans else "hours_closed", weekday=day[0].capitalize(), **span)
            case "hours":
                return self._words("hours", hours=where.hours_said)
            case "address":
                return self._words("address", address=where.address)
            case "price":
                service = self._service(str(values.get("service", "")))
                return self._words("price", service=service, price=where.price(service)) if service else ""
            case "staff":
                return self._words(
                    "staff" if len(where.staff) > 1 else "staff_one", staff=say.choice(where.staff, "and")
                )
            case _:
                return str(getattr(where, topic))


def _listed(times: Sequence[time]) -> str:
    """ "9 AM, 9:30 AM or 10 AM"."""
    return say.choice([say.clock(at) for at in times])


def arguments_json(arguments: Mapping[str, Any]) -> str:
    """As they stand in a conversation."""
    return json.dumps(arguments, ensure_ascii=False)
