"""A served API with a real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.store import Store
from tests.agent.http.support import Board, Client, serving


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path) as store:
        yield store


@pytest.fixture
async def client(tmp_path: Path, board: Board, store: Store) -> AsyncIterator[Client]:
    async with serving(tmp_path, board, store) as client:
        yield client
