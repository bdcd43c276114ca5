"""The look into the SIP stack: what it tells of a call that is there, and that it does no harm where there is none."""

import asyncio
import time
from collections.abc import Callable

import pytest

from agent.telephony import stackview
from agent.telephony.leg import Ended
from agent.telephony.stackview import StackView, stack_view
from agent.telephony.wireclock import Counters
from loadtest.rawphone import RawPhone
from tests.agent.telephony.calls import incoming, next_of, tone
from tests.waiting import LONG, until


def view() -> StackView:
    found = stack_view()
    assert found is not None, "the stack is another one: read its source, and correct stackview.py"
    return found


async def test_packets_are_counted_and_the_newest_is_dated(start_sip: Callable) -> None:
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        _, events, dialog = await incoming(sip, phone)
        began = time.monotonic()
        phone.media.talk(dialog, tone(60))
        seen: list[Counters] = []

        def look() -> Counters | None:
            found = view().counters(dialog.call_id)
            seen.extend([found] if found else [])
            return found

        await until(lambda: (now := look()) is not None and now.queued > 0 and now.arrived is not None)
        await until(lambda: (now := look()) is not None and now.sent >= seen[0].sent + 10)
        assert seen[-1].sent <= len(phone.media.arrived) + 1
        assert seen[-1].arrived is not None
        assert began < seen[-1].arrived < time.monotonic()
        assert time.monotonic() - seen[-1].arrived < 1.0
        await phone.bye(dialog)
        await next_of(events, Ended)
        await until(lambda: view().counters(dialog.call_id) is None)


async def test_calls_that_end_while_they_are_looked_at(start_sip: Callable) -> None:
    """Not found is the worst that may happen."""
    sip, settings = await start_sip()
    async with RawPhone(settings.sip_port) as phone:
        for _ in range(5):
            _, events, dialog = await incoming(sip, phone)
            ending = asyncio.create_task(phone.bye(dialog))
            async with asyncio.timeout(LONG):
                while view().counters(dialog.call_id) is not None:  # noqa: ASYNC110 - as often as can be
                    await asyncio.sleep(0)
            await ending
            await next_of(events, Ended)


async def test_unknown_calls_have_nothing_to_show(start_sip: Callable) -> None:
    await start_sip()
    assert view().counters("nobody@nowhere") is None
    assert view().counters("") is None


def test_another_version_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stackview, "KNOWN_VERSION", b"4.11.")
    assert stack_view.__wrapped__() is None


def test_a_stack_without_the_functions_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stackview, "_POINTERS", (("no_such_function", None),))
    assert stack_view.__wrapped__() is None
