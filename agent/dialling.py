"""Asks a running agent, through its HTTP interface, to place a call."""

import aiohttp

from agent.errors import StartError
from agent.settings import AgentSettings


async def dial(settings: AgentSettings, number: str, agent: str) -> str:
    """The id of the call that was begun. Raises StartError: no agent runs here, or it refused."""
    token = settings.api_token.get_secret_value()
    if not token:
        try:
            token = (settings.var / "api-token").read_text().strip()
        except OSError as error:
            raise StartError(f"no API token in {settings.var}: {error.strerror}. Is the agent running here?") from None
    url = f"http://{settings.http_host}:{settings.http_port}/calls"
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.post(url, json={"to": number, "agent": agent}) as response,
        ):
            answer = await response.json()
    except (aiohttp.ClientError, ValueError) as error:
        raise StartError(f"no agent answers at {url}: {error}") from None
    if response.status not in (200, 201, 202):
        raise StartError(f"refused: {answer.get('error', response.reason)}")
    return str(answer["id"])
