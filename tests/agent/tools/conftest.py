"""A toolbox with a calendar of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.tools import Toolbox
from tests.agent.tools.support import toolbox


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[Toolbox]:
    async with toolbox(tmp_path) as box:
        yield box
