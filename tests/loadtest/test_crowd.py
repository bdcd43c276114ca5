"""Several callers at once, against a stand-in that answers all of them."""

import pytest

from scripts.benches.processes import Callers, crowd

pytestmark = [pytest.mark.models, pytest.mark.realtime]


async def test_a_crowd_is_answered_and_counted(answerer: tuple[str, int]) -> None:
    async with crowd(Callers("talk", answerer, calls=4, at_once=2, seconds=4)) as people:
        await people.everybody_up()
        tally = await people.tally()
    assert tally == {"answered": 4, "refused": 0, "ended_early": 0, "heard_nothing": 0}
