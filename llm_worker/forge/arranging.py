"""How the front desk of training conversations gets things done: what is missing, what is free, what tools say."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from llm_worker.backends.frontdesk import say
from llm_worker.forge.hours import WEEKDAYS
from llm_worker.forge.practice import Practice
from llm_worker.forge.turn import Turn
from llm_worker.forge.wording import Slots, Task, Wording, listed

OFFERED = 3
"""Times in one answer."""
FURTHEST = 21
"""Days that are searched for the first free slot."""
_ON_THE_BOOK = {"book": "book_appointment", "move": "move_appointment", "cancel": "cancel_appointment"}
Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Calls a tool: its name, its arguments; gives the result."""


class Arranging(Wording):
    """Takes over what was said and makes the next step. `ask` carries out tool calls."""

    def __init__(self, practice: Practice, now: datetime, draw: random.Random, ask: Ask) -> None:
        super().__init__(practice, draw)
        self._now = now
        self._ask = ask
        self._done = False
        self._weekdays: set[str] = set()
        """That the caller has spoken of."""
        self._coming = False
        """The last thing that was done is an appointment that the caller will come to."""

    # -- what is known -----------------------------------------------------------------------------------------------

    def _fill(self, turn: Turn, group: str = "") -> None:
        """Take over what was said."""
        task, values = self._task, turn.values
        self._weekdays |= {day for day in WEEKDAYS if day in turn.text.lower()}
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
        return self._question(self._no_name() or "confirm")

    def _no_name(self) -> str:
        """What to ask to have a full name; empty: there is one."""
        if not self._task.name:
            return "name"
        return "" if " " in self._task.name else "full_name"

    def _move(self) -> str:
        if missing := self._no_name():
            return self._question(missing)
        if self._task.agreed:
            return self._carry_out()
        return self._find_time() or self._question("confirm")

    def _cancel(self) -> str:
        if missing := self._no_name():
            return self._question(missing)
        return self._carry_out() if self._task.agreed else self._question("confirm")

    def _message(self) -> str:
        task = self._task
        if not task.text:
            return self._question("text")
        if missing := self._no_name():
            return self._question(missing)
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
        arguments = {"day": self._written(day)} | ({"after": f"{after:%H:%M}"} if after else {})
        result = self._ask("find_slots", arguments)
        self._slots = Slots(day, [time.fromisoformat(at) for at in result.get("slots", [])])
        return result

    def _written(self, day: date) -> str:
        """A day as an argument: behind its weekday if that was said, so that a model can go from what it has heard to
        what stands in its list of days."""
        weekday = WEEKDAYS[day.weekday()]
        return f"{weekday.capitalize()} {day.isoformat()}" if weekday in self._weekdays else day.isoformat()

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
        return f"{self._words('offer_more', slots=listed(self._slots.shown))} {self._words('ask_choice')}"

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
        new = {"day": self._written(task.day), "time": f"{task.at:%H:%M}"} if task.day and task.at else {}
        old = {"day": self._written(task.old_day)} if task.old_day else {}
        old |= {"time": f"{task.old_time:%H:%M}"} if task.old_time else {}
        match task.kind:
            case "book":
                return {"name": task.name, **new} | ({"reason": task.service} if task.service else {})
            case "move":
                return {"name": task.name, **old, "new_day": new["day"], "new_time": new["time"]}
            case _:
                return {"name": task.name, **old}

    def _finished(self, act: str, **values: str) -> str:
        said = self._words(act, **values)
        self._task, self._slots, self._done, self._coming = Task(), Slots(), True, act in ("booked", "moved")
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
