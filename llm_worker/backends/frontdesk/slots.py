"""What an utterance adds to, or changes in, what is known: name, day, time, reason."""

import re
from dataclasses import replace
from datetime import datetime, time, timedelta

from llm_worker.backends.frontdesk import intents, names, say, when
from llm_worker.backends.frontdesk.practice import WEEKDAYS
from llm_worker.backends.frontdesk.state import Asked, State, Task
from llm_worker.backends.frontdesk.tasks import Desk

_WRONG_DAY = re.compile(
    rf"\bnot (?:on |this |that |the |next )*(?:{'|'.join(WEEKDAYS)}|tomorrow|today|day|date|\d+th)\b"
    r"|\b(?:other|another|different|new|wrong|change the) (?:day|date)\b"
    r"|\b(?:day|date) is wrong\b|^(?:the )?(?:day|date)$"
)
_WRONG_TIME = re.compile(
    r"\b(?:other|another|different|later|earlier|new|wrong|change the) times?\b|\btime is wrong\b|^(?:the )?time$"
    r"|\b(?:something|bit|little) (?:later|earlier)\b|\bnot (?:at )?\d"
)
_LATER = re.compile(r"\blater\b|\b(?:what|something|anything) else\b|\bnone of\b|\bother times?\b|\bany more\b")
_WRONG_NAME = re.compile(r"\bname is wrong\b|\bwrong name\b|\bchange the name\b|^(?:the |my )?name$|\bnot my name\b")
_REASON = re.compile(
    r"\b(?:because(?: of)?|it's about|it's for|about) (?:my |a |an |the )?([a-z' ]{3,60})"
    r"|\bmy ([a-z]+ (?:hurts|aches|is sore))\b"
)


def filled(desk: Desk, state: State, text: str, flat: str) -> State:
    """The state after an utterance: `text` as the recogniser wrote it, `flat` its plain words."""
    state = _name(state, text, flat)
    if state.task is Task.MESSAGE:
        return state
    return _reason(desk, _times(desk, state, flat), flat)


def _name(state: State, text: str, flat: str) -> State:
    if state.asked in (Asked.CONFIRM, Asked.CHANGE):
        if _WRONG_NAME.search(flat):
            return replace(state, name="")
        if new := names.replaced(text, state.name):
            return replace(state, name=new)
        denied = intents.verdict(flat) is False or state.asked is Asked.CHANGE
        said = names.find(text, asked=denied and not _mentions_time(flat))
        return replace(state, name=_better(state.name, said)) if said else state
    said = names.find(text, asked=state.asked is Asked.NAME)
    return replace(state, name=_better(state.name, said)) if said else state


def _better(known: str, said: str) -> str:
    return names.corrected(known, said) if known else said


def _mentions_time(flat: str) -> bool:
    return bool(
        re.search(r"\d|\b(?:day|date|time|morning|afternoon|noon|tomorrow|today)\b|" + "|".join(WEEKDAYS), flat)
    )


def _times(desk: Desk, state: State, flat: str) -> State:
    today = desk.now.date()
    number_is_time = state.asked in (Asked.TIME, Asked.CONFIRM, Asked.CHANGE, Asked.OLD_DAY)
    if state.asked is Asked.OLD_DAY:
        old = when.find(flat, today, number_is_time)
        return replace(state, old_day=old.day or state.old_day, old_time=old.at or state.old_time)
    wish = flat
    if state.task is Task.MOVE and state.asked is Asked.NOTHING:
        here, wish = when.split_move(flat)
        old = when.find(here, today)
        state = replace(state, old_day=old.day or state.old_day, old_time=old.at or state.old_time)
    said = when.find(wish, today, number_is_time)
    if not said and _LATER.search(flat) and (later := _later(desk, state)):
        return replace(state, at=None, offered=(), after=later)
    picked = said.at or _picked(state, flat)
    changed_day = said.day is not None and said.day != state.day
    if not said.day and state.asked in (Asked.CONFIRM, Asked.CHANGE, Asked.TIME) and _WRONG_DAY.search(flat):
        return replace(state, day=None, at=picked or state.at, offered=())
    if not picked and state.asked in (Asked.CONFIRM, Asked.CHANGE) and _WRONG_TIME.search(flat):
        return replace(state, day=said.day or state.day, at=None, after=said.after, offered=())
    return replace(
        state,
        day=said.day or state.day,
        at=picked or state.at,
        after=said.after or state.after,
        offered=() if changed_day or (said.after and said.after != state.after) else state.offered,
    )


def _later(desk: Desk, state: State) -> time | None:
    """One slot after the time agreed on, or after all that were offered."""
    latest = state.offered[-1] if state.asked is Asked.TIME and state.offered else state.at
    if latest is None or state.asked not in (Asked.TIME, Asked.CONFIRM, Asked.CHANGE):
        return None
    return (datetime.combine(desk.now, latest) + timedelta(minutes=desk.practice.slot_minutes)).time()


def _picked(state: State, flat: str) -> time | None:
    """One of the times that were offered, by its place or because any will do."""
    if not state.offered or state.asked is not Asked.TIME:
        return None
    offered = say.some(state.offered)
    if re.search(r"\b(?:1th|earliest|any|anything|whatever|whichever|don't mind|soonest|either)\b|\bfirst\b", flat):
        return offered[0]
    if re.search(r"\b(?:second|2th|middle)\b", flat) and len(offered) > 1:
        return offered[1]
    if re.search(r"\b(?:3th|last|latest)\b", flat):
        return offered[-1]
    if len(offered) == 1 and intents.verdict(flat):
        return offered[0]
    return None


def _reason(desk: Desk, state: State, flat: str) -> State:
    if state.task is not Task.BOOK or state.reason or state.asked is Asked.NAME:
        return state
    for service in desk.practice.services[1:]:
        if any(word in flat for word in service.words):
            return replace(state, reason=service.name)
    if said := _REASON.search(flat):
        return replace(state, reason=(said[1] or said[2]).strip())
    return state
