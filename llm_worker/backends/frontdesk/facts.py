"""Answers to questions about the practice."""

import re

from llm_worker.backends.frontdesk import say
from llm_worker.backends.frontdesk.intents import Intent
from llm_worker.backends.frontdesk.tasks import Desk


def found(desk: Desk, flat: str, wants: frozenset[Intent]) -> str:
    """Answers to questions about the practice; empty when there was none."""
    asked = wants & ANSWERS.keys()
    if Intent.HOURS in asked and Intent.BOOK in wants and not re.search(r"\bhours\b|\bare you open\b|\bclose", flat):
        asked -= {Intent.HOURS}
    return " ".join(answer(desk, flat) for intent, answer in ANSWERS.items() if intent in asked)


def _hours(desk: Desk, flat: str) -> str:
    closed = "" if not re.search(r"\b(?:saturday|sunday|weekends?)\b", flat) else "We're closed at weekends. "
    return f"{closed}{say.hours(desk.practice)}"


def _address(desk: Desk, flat: str) -> str:
    asks_way = re.search(r"\b(?:get|directions|parking|park|bus|find)\b", flat)
    way = f" {desk.practice.directions}" if asks_way else ""
    return f"We're at {desk.practice.address}.{way}"


def _prices(desk: Desk, flat: str) -> str:
    for service in reversed(desk.practice.services):
        if any(word in flat for word in service.words):
            return f"{service.name.capitalize()} is {service.price} dollars."
    first, *others = desk.practice.services
    others_said = say.choice([f"{service.name} {service.price}" for service in others[:2]], "and")
    return f"{first.name.capitalize()} is {first.price} dollars, {others_said}."


def _doctors(desk: Desk, flat: str) -> str:
    return f"Our doctors are {say.choice(desk.practice.doctors, 'and')}."


ANSWERS = {
    Intent.HOURS: _hours,
    Intent.ADDRESS: _address,
    Intent.PRICES: _prices,
    Intent.DOCTORS: _doctors,
}
