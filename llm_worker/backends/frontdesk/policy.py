"""What to answer to the words of a caller, given what is known."""

import re
from dataclasses import replace
from datetime import timedelta

from llm_worker.backends.frontdesk import facts, hear, intents, names, say
from llm_worker.backends.frontdesk.intents import Intent
from llm_worker.backends.frontdesk.slots import filled
from llm_worker.backends.frontdesk.state import Asked, Reply, State, Task
from llm_worker.backends.frontdesk.tasks import (
    MORE,
    Desk,
    Step,
    act,
    close,
    find_slots,
    idle,
    next_open_day,
    no_person,
    proceed,
    question,
    tell,
    transfer,
)

_BEGINS = {
    Task.BOOK: "Sure.",
    Task.MOVE: "Sure.",
    Task.CANCEL: "All right.",
    Task.MESSAGE: "Of course.",
}
_TASKS = {Intent.MESSAGE: Task.MESSAGE, Intent.MOVE: Task.MOVE, Intent.CANCEL: Task.CANCEL, Intent.BOOK: Task.BOOK}


def hear_out(desk: Desk, state: State, text: str) -> Step:
    """The answer to `text`, as the recogniser wrote it."""
    flat = hear.plain(hear.words(text))
    wants = intents.find(flat)
    step = (
        _at_any_time(desk, state, flat, wants)
        or _dictation(desk, state, text, flat, wants)
        or _closing(desk, state, flat, wants)
        or _task(desk, state, text, flat, wants)
        or _question(desk, state, flat, wants)
        or _small_talk(desk, state, text, flat, wants)
        or not_understood(desk, state)
    )
    after, reply = step
    understood = after if after.misses > state.misses else replace(after, misses=0)
    return replace(understood, silences=0), reply


def resume(state: State, before: str) -> Step:
    """Say something by the way, then come back to the open question."""
    open_question = question(state) if state.asked is not Asked.NOTHING or state.task else MORE
    asked = state.asked if state.asked is not Asked.NOTHING else Asked.MORE
    return tell(state, f"{before} {open_question}", asked)


def not_understood(desk: Desk, state: State) -> Step:
    """Ask again; after three times in a row bring in a person."""
    missed = replace(state, misses=state.misses + 1)
    if missed.misses >= 3:
        calm = replace(missed, misses=0)
        if "transfer_call" in desk.tools:
            return transfer(
                desk, calm, "I'm sorry, I'm having trouble understanding. I'll put you through to a colleague."
            )
        return no_person(desk, calm, "I'm sorry, I'm having trouble understanding.")
    if state.asked is Asked.NOTHING and state.task is Task.NONE:
        help_ = "I can book, move or cancel an appointment, or answer a question about the practice."
        return tell(missed, f"Sorry, I didn't catch that. {help_}", Asked.NOTHING)
    return tell(missed, f"Sorry, I didn't catch that. {question(state)}", state.asked)


def silent(desk: Desk, state: State) -> Step:
    """The caller says nothing: ask, ask again, hang up."""
    state = replace(state, silences=state.silences + 1)
    if state.silences >= 3:
        return close(desk, state, "I can't hear you, so I'll hang up now. Please call again. Goodbye.")
    return tell(state, f"Are you still there? {question(state)}", state.asked)


def _at_any_time(desk: Desk, state: State, flat: str, wants: frozenset[Intent]) -> Step | None:
    """What comes before every task."""
    if Intent.EMERGENCY in wants:
        number = desk.practice.emergency_number
        return resume(state, f"If this is an emergency, please hang up and dial {number} right away.")
    if state.asked is Asked.TEXT:
        return None
    if Intent.ROBOT in wants:
        return resume(state, f"I'm the automated assistant of {desk.practice.name}, not a person.")
    if Intent.UNRECORDED in wants:  # the agent has seen to it
        return resume(state, "All right.")
    if Intent.REPEAT in wants and state.last and not wants & {Intent.BOOK, Intent.MOVE}:
        return state, Reply(state.last)
    if Intent.TRANSFER in wants and Intent.BOOK not in wants:
        return transfer(desk, state)
    if Intent.WAIT in wants and len(flat.split()) <= 7:
        return state, Reply("Of course, take your time.")
    return None


def _dictation(desk: Desk, state: State, text: str, flat: str, wants: frozenset[Intent]) -> Step | None:
    """Answers that are taken as they are: a message, a number, whether to leave one."""
    verdict = intents.verdict(flat) if state.heard else None
    match state.asked:
        case Asked.TEXT if not wants & {Intent.NEVER_MIND, Intent.GOODBYE}:
            return proceed(desk, replace(state, text=text.strip()[:1000]), "Thank you.")
        case Asked.SAME_NUMBER | Asked.NUMBER if len(number := hear.digits(hear.words(text))) >= 5:
            return proceed(desk, replace(state, number=number))
        case Asked.SAME_NUMBER if verdict:
            return proceed(desk, state)
        case Asked.SAME_NUMBER if verdict is False:
            return tell(state, question(replace(state, asked=Asked.NUMBER)), Asked.NUMBER)
        case Asked.NUMBER if "collect_digits" in desk.tools:
            calls = (("collect_digits", {"max_digits": 15, "terminator": "#"}),)
            return state, Reply("Please key in the number, and press the pound key at the end.", calls)
        case Asked.OFFER_MESSAGE if verdict is not None:
            return proceed(desk, replace(state, task=Task.MESSAGE)) if verdict else idle(state, "All right.")
        case _:
            return None


def _closing(desk: Desk, state: State, flat: str, wants: frozenset[Intent]) -> Step | None:
    """Goodbyes, and giving up what was begun."""
    agreed = state.asked is Asked.CONFIRM and intents.verdict(flat) is not False
    if Intent.GOODBYE in wants and not agreed and not wants & _TASKS.keys():
        return close(desk, state)
    nothing_more = intents.verdict(flat) is False or (Intent.THANKS in wants and "yes" not in flat.split())
    if state.asked is Asked.MORE and nothing_more and not wants & (_TASKS.keys() | facts.ANSWERS.keys()):
        return close(desk, state)
    dropped = state.task in (Task.BOOK, Task.MOVE) and Intent.CANCEL in wants and "appointment" not in flat
    if dropped or Intent.NEVER_MIND in wants:
        return idle(state, "No problem.")
    return None


def _task(desk: Desk, state: State, text: str, flat: str, wants: frozenset[Intent]) -> Step | None:
    """Begin a task, or go on with it."""
    wanted = next((task for intent, task in _TASKS.items() if intent in wants), Task.NONE)
    # "I have an appointment on Tuesday" belongs to a move or cancellation; "change it" to a booking that is under way.
    goes_on = wanted in (Task.NONE, state.task) or (state.task is not Task.NONE and wanted is Task.BOOK)
    if not goes_on and not (state.task is Task.BOOK and wanted is Task.MOVE):
        begun = _begun(state, wanted)
        return proceed(desk, filled(desk, begun, text, flat), facts.found(desk, flat, wants) or _BEGINS[wanted])
    if not state.task:
        heard = filled(desk, state, text, flat)
        # A number in a long sentence can be anything; a day is a wish to come.
        wished = heard.day != state.day or (heard.at != state.at and len(flat.split()) <= 6)
        if not wished or wants & facts.ANSWERS.keys():
            return None
        return proceed(desk, replace(heard, task=Task.BOOK), _BEGINS[Task.BOOK])
    return _answered(desk, state, text, flat, wants)


def _begun(state: State, task: Task) -> State:
    """A new task; "it" is the appointment that was made before in this call."""
    begun = State(
        task=task, name=state.name, booked_day=state.booked_day, booked_time=state.booked_time, silences=state.silences
    )
    match task:
        case Task.MOVE:
            return replace(begun, old_day=state.booked_day, old_time=state.booked_time)
        case Task.CANCEL:
            return replace(begun, day=state.booked_day, at=state.booked_time)
        case _:
            return begun


def _answered(desk: Desk, state: State, text: str, flat: str, wants: frozenset[Intent]) -> Step | None:
    """The caller answers within a task."""
    heard = filled(desk, state, text, flat)
    named = state.asked is Asked.NAME and names.find(text, asked=True)
    if heard != state or named:
        aside = "Thank you." if named else facts.found(desk, flat, wants)
        return proceed(desk, heard, aside)
    verdict = intents.verdict(flat)
    if state.asked is Asked.CONFIRM and verdict is not None and not wants & facts.ANSWERS.keys():
        if verdict:
            return act(state) if state.heard else tell(state, question(state), Asked.CONFIRM)
        return tell(state, question(replace(state, asked=Asked.CHANGE)), Asked.CHANGE)
    if state.asked is Asked.DAY and "find_slots" in desk.tools:
        if "next week" in flat:
            return find_slots(replace(state, day=desk.now.date() + timedelta(days=7 - desk.now.weekday())))
        if wants & {Intent.ANY, Intent.UNSURE}:
            return find_slots(replace(state, day=next_open_day(desk)))
    if state.asked is Asked.CHANGE and verdict is not None:
        return idle(state, "All right, I won't change anything.") if verdict is False else proceed(desk, state)
    return None


def _question(desk: Desk, state: State, flat: str, wants: frozenset[Intent]) -> Step | None:
    if Intent.WHEN_BOOKED in wants and state.booked_day:
        return resume(state, f"Your appointment is on {say.when(state.booked_day, state.booked_time)}.")
    if answer := facts.found(desk, flat, wants):
        return resume(state, answer)
    if (Intent.STAFF in wants or _is_question(state, flat)) and "take_message" in desk.tools:
        return tell(state, "I can take a message about that for the practice. Shall I?", Asked.OFFER_MESSAGE)
    return None


def _is_question(state: State, flat: str) -> bool:
    """Something is asked that the desk cannot answer, while nothing else is open."""
    asks = re.match(r"(?:and |so |but )?(?:do|does|is|are|can|could|how|what|why|will|would|may)\b", flat)
    polite = re.search(r"\b(?:hear|help) me\b|\bhow are you\b", flat)
    return state.asked in (Asked.NOTHING, Asked.MORE) and bool(asks) and len(flat.split()) >= 4 and not polite


def _small_talk(desk: Desk, state: State, text: str, flat: str, wants: frozenset[Intent]) -> Step | None:
    """Greetings, thanks, names; yes without a task."""
    heard = filled(desk, state, text, flat)
    if not state.task and heard.name != state.name:
        return tell(heard, f"Hello {heard.name.split()[0]}. How can I help you?", Asked.NOTHING)
    if Intent.THANKS in wants:
        return resume(state, "You're welcome.")
    if Intent.HELLO in wants:
        return tell(state, f"Hello. {question(state)}", state.asked)
    if not state.task and intents.verdict(flat) and len(flat.split()) <= 4:
        return tell(state, "What can I do for you?", Asked.NOTHING)
    return None
