"""The words of the front desk that training conversations show: its questions, what it reads back, what it knows."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from difflib import get_close_matches
from typing import Any

from llm_worker.backends.frontdesk import say
from llm_worker.forge import speech
from llm_worker.forge.grammar import load, sentence
from llm_worker.forge.hours import WEEKDAYS
from llm_worker.forge.practice import Practice, spans_aloud


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


class Wording:
    """What is arranged and what was asked last, in words."""

    def __init__(self, practice: Practice, draw: random.Random) -> None:
        self._practice = practice
        self._draw = draw
        self._task = Task()
        self._slots = Slots()
        self._awaiting = "help"
        """What was asked last; its question is asked again after whatever comes between."""

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
                offer = self._words(f"offer{one}", day=say.day(self._slots.day), slots=listed(self._slots.shown))
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
            case (
                "help"
                | "more"
                | "full_name"
                | "text"
                | "same_number"
                | "number"
                | "which"
                | "spell"
                | "other_day"
                | "change"
            ):
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

    def _service(self, said: str) -> str:
        near = get_close_matches(said.lower(), list(self._practice.prices), n=1, cutoff=0.75)
        return near[0] if near else ""

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


def listed(times: Sequence[time]) -> str:
    """ "9 AM, 9:30 AM or 10 AM"."""
    return say.choice([say.clock(at) for at in times])
