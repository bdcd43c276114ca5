"""Puts the agent process together, and takes it apart in the right order."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import aiohttp

from agent.audio import Samples
from agent.call import Parts
from agent.clients import LanguageModel, SpeechToText, TextToSpeech, Workers
from agent.clients.workers import LANGUAGE_MODEL, SPEECH_TO_TEXT, TEXT_TO_SPEECH
from agent.collector import spare_calls
from agent.directory import Directory, load_agents
from agent.http import HttpServer, HttpSettings, serve_http
from agent.line import Line
from agent.listening.pool import ListeningPool
from agent.listening.turn_model import TurnModel
from agent.readymade import ReadyMade
from agent.settings import AgentSettings
from agent.store import Store
from agent.switchboard import Carrier, Switchboard
from agent.telephony.pump import Member, Pump
from agent.telephony.sip import SipRuntime
from agent.tools.calendar import Calendar
from agent.tools.toolbox import Toolbox
from agent.webhook import EndOfCall
from services.telemetry import Plain, sample_loop_lag

log = logging.getLogger(__name__)


async def serve(settings: AgentSettings) -> None:
    """Take calls until SIGTERM or SIGINT, let them end; a second signal ends them. Raises StartError, SipError."""
    directory = load_agents(settings.agents)
    async with AsyncExitStack() as stack:
        sip = SipRuntime(settings)
        switchboard, store = await stack.enter_async_context(assembled(settings, directory, sip))
        http = await stack.enter_async_context(http_interface(settings, switchboard, store))
        await stack.enter_async_context(sip)
        spare_calls()
        addresses = {"sip_address": Plain(settings.sip_address), "http_host": Plain(http.host)}
        log.info("serving", extra={**addresses, "sip_port": settings.sip_port, "http_port": http.port})
        serving = asyncio.create_task(switchboard.serve())
        stop = asyncio.create_task(_stopped())
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        log.info("draining", extra={"seconds": settings.drain_seconds})
        again = asyncio.create_task(_stopped())
        draining = asyncio.create_task(switchboard.drain(settings.drain_seconds))
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            draining.cancel()
            await switchboard.drain(0)
        serving.cancel()
        again.cancel()


async def _stopped() -> None:
    """Return at the next SIGTERM or SIGINT."""
    event = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    await event.wait()


@asynccontextmanager
async def assembled(
    settings: AgentSettings, directory: Directory, carrier: Carrier
) -> AsyncIterator[tuple[Switchboard, Store]]:
    """Everything but SIP and HTTP, running. Raises StartError."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(settings.var))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        toolboxes = await _toolboxes(stack, settings, directory, session)
        workers = {
            "stt": Workers(settings.stt_targets, SPEECH_TO_TEXT),
            "llm": Workers(settings.llm_targets, LANGUAGE_MODEL),
            "tts": Workers(settings.tts_targets, TEXT_TO_SPEECH),
        }
        for group in workers.values():
            stack.push_async_callback(group.close)
        listening = ListeningPool()
        tts = TextToSpeech(workers["tts"])
        parts = Parts(
            pump=Pump(lambda arrived: hear(listening, arrived)),
            listening=listening,
            turn_model=await stack.enter_async_context(TurnModel()),
            stt=SpeechToText(workers["stt"]),
            llm=LanguageModel(workers["llm"]),
            tts=tts,
            ready_made=ReadyMade(tts),
            store=store,
        )
        end_of_call = await stack.enter_async_context(EndOfCall.open(session, store))
        switchboard = Switchboard(carrier, directory, toolboxes, parts, workers, end_of_call)
        definitions = list(directory.agents.values())
        retention = {definition.name: definition.recording.retention_days for definition in definitions}
        background = [
            asyncio.create_task(parts.pump.run()),
            asyncio.create_task(switchboard.watch_workers()),
            asyncio.create_task(parts.ready_made.keep_preparing(definitions)),
            asyncio.create_task(store.sweep_forever(retention)),
            asyncio.create_task(sample_loop_lag()),
        ]
        stack.push_async_callback(_cancel, background)
        yield switchboard, store


def hear(listening: ListeningPool, arrived: Sequence[tuple[Member, Samples]]) -> None:
    """Give every ear what its line brought, then judge all of it in one go."""
    for member, samples in arrived:
        cast(Line, member).ear.push(samples)
    listening.process()


async def _toolboxes(
    stack: AsyncExitStack, settings: AgentSettings, directory: Directory, session: aiohttp.ClientSession
) -> dict[str, Toolbox]:
    calendars: dict[str, Calendar] = {}
    toolboxes = {}
    for name, definition in directory.agents.items():
        calendar = None
        if definition.calendar is not None:
            key = definition.calendar_name
            if key not in calendars:
                path = settings.var / "calendars" / f"{key}.sqlite"
                calendars[key] = await stack.enter_async_context(Calendar.open(path, definition.calendar))
            calendar = calendars[key]
        toolboxes[name] = Toolbox(definition, calendar, session)
    return toolboxes


@asynccontextmanager
async def http_interface(settings: AgentSettings, switchboard: Switchboard, store: Store) -> AsyncIterator[HttpServer]:
    """The HTTP interface, running. Raises StartError."""
    http = HttpSettings(settings.http_host, settings.http_port, settings.var, settings.api_token.get_secret_value())
    async with serve_http(http, switchboard, store) as server:
        yield server


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
