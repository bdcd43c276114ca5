"""The front desk that training conversations show: asks for what is missing, offers what the calendar gave, reads back,
writes only after a yes. It is told what the caller's words say; a model has to find that out."""

import json
import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from llm_worker.forge.arranging import Arranging, Ask
from llm_worker.forge.practice import Practice
from llm_worker.forge.turn import Turn
from llm_worker.forge.wording import Slots, Task

Call = tuple[str, dict[str, Any]]
"""Name and arguments."""


class Teacher(Arranging):
    """One call."""

    def __init__(self, practice: Practice, now: datetime, draw: random.Random, ask: Ask) -> None:
        super().__init__(practice, now, draw, ask)
        self._misses = 0
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
            case "bill" | "nurse":
                return self._person("billing" if what == "bill" else what)
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
        return self._words("bye_booked" if self._coming and self._draw.random() < 0.3 else "bye")

    def _fact(self, topic: str, values: Mapping[str, Any]) -> str:
        said = self._known(topic, values)
        if not said:
            return f"{self._words('unknown')} {self._question('offer_message')}"
        awaiting = "more" if self._awaiting in ("help", "", "offer_message") else self._awaiting
        return f"{said} {self._question(awaiting)}"


def arguments_json(arguments: Mapping[str, Any]) -> str:
    """As they stand in a conversation."""
    return json.dumps(arguments, ensure_ascii=False)
