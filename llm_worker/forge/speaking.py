"""The words of a caller by rules: a phrase for what it wants to say, with the values of its wish, through the noise."""

import random
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from llm_worker.forge import speech
from llm_worker.forge.ear import Heard
from llm_worker.forge.grammar import Piece, text
from llm_worker.forge.noise import disturb
from llm_worker.forge.phrases import fact_values, name_values, phrase, sample
from llm_worker.forge.plan import Kind, Option, Plan, Wish
from llm_worker.forge.turn import Turn, turn, understandable

_HESITATIONS = ("Um, ", "Uh, ", "Well, ", "Er, ", "So, um, ", "Hmm, ")
_ASIDES = {"question": "question.hours", "garbled": "garbled", "silence": "aside.here", "cut": "aside.repeat"}


class Speaking:
    """Where a caller is in its plan, and how it says things. `strength` of the recogniser's errors: 0 for none."""

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
        self.leaving = False
        """The last words were a goodbye."""
        self.cut_in = False
        """The last words were said over those of the front desk."""
        self.gave_up = False
        """The caller has hung up without having got what it wanted."""

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
        old = self._wish.old
        known = old is not None and value == old.first and "oldtime" in self._told
        if slot == "time" and known and self._draw.random() < 0.4:
            return "the same time"
        same_day = old is not None and value == old.day and "oldday" in self._told
        if slot == "day" and same_day and self._draw.random() < 0.5:
            return self._draw.choice(["the same day", "that same day"])
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
            lead = phrase(before, self._plan.split, self._draw, {})
            # A sentence of its own, or the beginning of this one.
            pieces = [*lead, Piece(" "), *pieces] if before == "chatter" else [*lead, *_small(pieces)]
        if self._draw.random() < self._plan.hesitation:
            pieces = [Piece(self._draw.choice(_HESITATIONS)), *_small(pieces)]
        return self._spoken(act, pieces, meant)

    def _spoken(self, act: str, pieces: list[Piece], meant: Mapping[str, Any]) -> Turn:
        self._told |= {piece.slot for piece in pieces if piece.slot}
        if not self._strength:
            return turn((act,), pieces, meant, self._today)
        heard, changed = disturb(pieces, self._draw, self._strength)
        if changed and not understandable(act, text(pieces), text(heard)):
            act = "garbled"
        return turn((act,), heard, meant, self._today, changed)

    def _opening(self, before: str = "") -> Turn:
        self._told, self._option, self._open, self._settled = set(), 0, None, False
        wish = self._wish
        act = f"question.{wish.topic}" if wish.kind is Kind.QUESTION else f"open.{wish.kind}"
        act = "open.booksoon" if wish.soonest and wish.kind is Kind.BOOK else act
        if wish.target in ("billing", "nurse") and self._draw.random() < 0.5:
            act = "open.bill" if wish.target == "billing" else "open.nurse"
        if not before and wish.kind is Kind.BOOK and self._draw.random() < 0.15:
            before = "chatter"
        return self._say(act, before)

    def _aside(self, aside: str) -> Turn:
        self.cut_in = aside == "cut"
        act = _ASIDES.get(aside, f"aside.{aside}")
        said = self._spoken(act, sample(self._draw, self._plan.split, act), {})
        return Turn(said.text, said.acts, said.values, said.lost, silent=aside == "silence")


def _small(pieces: list[Piece]) -> list[Piece]:
    """The pieces as the rest of a sentence: no capital at the beginning, unless it is a name or "I"."""
    first = pieces[0]
    word = first.text.split(maxsplit=1)[0] if first.text.strip() else ""
    if first.slot or word.startswith("I"):
        return pieces
    return [Piece(first.text[:1].lower() + first.text[1:]), *pieces[1:]]
