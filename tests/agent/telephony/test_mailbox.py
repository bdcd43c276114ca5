"""Order, end and bound of a leg's events."""

import asyncio

from agent.telephony.leg import Digit, Ended, EndReason
from agent.telephony.mailbox import LIMIT, Mailbox


async def test_events_come_in_order_and_stop_after_the_end() -> None:
    mailbox = Mailbox()
    for key in "123":
        mailbox.put(Digit(key))
    mailbox.put(Ended(EndReason.CALLER_HUNG_UP))
    mailbox.put(Digit("4"))
    mailbox.put(Ended(EndReason.FAILED))
    events = [event async for event in mailbox]
    assert events == [Digit("1"), Digit("2"), Digit("3"), Ended(EndReason.CALLER_HUNG_UP)]
    assert [event async for event in mailbox] == []


async def test_a_consumer_waits_for_the_next_event() -> None:
    mailbox = Mailbox()
    first = asyncio.ensure_future(anext(aiter(mailbox)))
    await asyncio.sleep(0)
    assert not first.done()
    mailbox.put(Digit("1"))
    assert await first == Digit("1")


async def test_a_flood_of_keys_loses_the_newest_but_never_the_end() -> None:
    mailbox = Mailbox()
    for _ in range(LIMIT + 10):
        mailbox.put(Digit("1"))
    mailbox.put(Ended(EndReason.CALLER_HUNG_UP))
    events = [event async for event in mailbox]
    assert (len(events), mailbox.dropped) == (LIMIT + 1, 10)
    assert isinstance(events[-1], Ended)
