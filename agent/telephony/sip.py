"""The SIP side of one agent process: listeners, registration, calls in and out."""

import asyncio
import atexit
import logging
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from baresip import Account, BaresipError, Call, Event, RegistrationError, Runtime, StackEvent, UserAgent

from agent.telephony import metrics
from agent.telephony.config import SipSettings, listener_accounts, stack_config, trunk_account
from agent.telephony.leg import CallInfo, EndReason
from agent.telephony.policy import is_allowed_source, user_of
from agent.telephony.ports import PortTaken, claim_ports
from agent.telephony.sipleg import SipLeg
from agent.telephony.slack import coarse_timers
from agent.telephony.sources import SourceWatch
from agent.telephony.stuck import LIMIT as STUCK_LIMIT
from agent.telephony.stuck import StuckCalls
from agent.telephony.stun import PublicAddress
from services.telemetry import Plain

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
FAREWELL_SECONDS = 0.5
"""How long a stack that cannot be closed may still deliver its last BYEs."""
REGISTER_RETRY_SECONDS = 30.0
TIMER_SLACK_SECONDS = 0.001
"""The stack wakes a thread of every call 250 times a second to look whether a packet is due. Woken together, they cost
a quarter less; a packet leaves 0.5 ms later on average."""


class SipError(Exception):
    """The SIP side cannot start or cannot dial; the text says what to do."""


class SipRuntime:
    """`async with SipRuntime(settings) as sip:`. One per process, and only one at a time: the stack is global."""

    def __init__(self, settings: SipSettings) -> None:
        self._settings = settings
        self._networks = settings.trunk_networks
        self._runtime = Runtime()
        self._sources = SourceWatch()
        self._stuck = StuckCalls()
        self._legs: dict[int, SipLeg] = {}
        self._arrived: asyncio.Queue[SipLeg | None] = asyncio.Queue()  # bounded by the stack's limit of calls
        self._tasks: set[asyncio.Task[None]] = set()
        self._exits = AsyncExitStack()
        self._listeners: dict[str, UserAgent] = {}
        self._dialling = 0
        self._early: list[StackEvent] = []  # of calls that are being dialled and have no leg yet
        self._trunk: UserAgent | None = None
        self._registered = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        """Listen, and begin to register. Raises SipError."""
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is left, unregister, stop the stack."""
        await self._exits.aclose()

    async def incoming(self) -> AsyncIterator[SipLeg]:
        """Calls from allowed networks, unanswered. Raises SipError when the process must be started again: the stack
        has died, or broken INVITEs have filled it and the last call has ended."""
        while (leg := await self._arrived.get()) is not None:
            if not leg.ended:
                yield leg
        why = "has stopped" if self.healthy else "is full of broken INVITEs"
        raise SipError(f"the SIP stack {why}; start the process again")

    async def dial(self, target: str) -> SipLeg:
        """Call a number or SIP address; the leg's events tell what becomes of it. Raises TargetRefused, SipError."""
        address = self._settings.dial_rules.resolve(target)
        if self._trunk is not None:
            agent = self._trunk
        elif (transport := self._transport_of(address)) in self._listeners:
            agent = self._listeners[transport]
        else:
            raise SipError(f"cannot dial over {transport}: it is not among the SIP transports")
        self._dialling += 1
        try:
            call = await agent.dial(address)
        except (BaresipError, ValueError) as error:
            raise SipError(f"cannot dial: {error}") from None
        finally:
            self._dialling -= 1
            early, self._early = self._early, [] if self._dialling == 0 else self._early
        info = CallInfo(_call_id(), "outbound", self._settings.sip_user, user_of(address), "sip")
        leg = self._adopt(call, info)
        for event in early:
            if event.call == call.handle:
                call._on_stack_event(event)  # the library has missed it as well, and would think the call still rings
                self._pass_on(event)
        return leg

    async def drain(self) -> None:
        """Refuse new calls and return when the last one has ended."""
        # The stack's own wait counts stuck calls too, and would never end; its command goes out at its first step.
        refusing = asyncio.ensure_future(self._runtime.drain())
        await asyncio.sleep(0)
        await self._idle.wait()
        refusing.cancel()

    async def wait_registered(self) -> None:
        """Return once the account is registered."""
        await self._registered.wait()

    @property
    def registered(self) -> bool:
        """Whether the account is registered, if there is one to register."""
        return self._registered.is_set()

    @property
    def active(self) -> int:
        """Calls that have not ended."""
        return len(self._legs)

    @property
    def healthy(self) -> bool:
        """False once broken INVITEs have used up too much of the stack: no more calls are taken, and when the last one
        has ended `incoming` raises."""
        return self._stuck.count < STUCK_LIMIT

    def _transport_of(self, address: str) -> str:
        return address.partition(";transport=")[2].lower() or self._settings.sip_transport

    async def _start(self) -> None:
        settings = self._settings
        try:
            claim_ports(settings.sip_address, settings.sip_port, settings.sip_transports)
        except PortTaken as error:
            raise SipError(str(error)) from None
        watch = not any(network.prefixlen == 0 for network in self._networks)
        if watch:
            self._exits.enter_context(self._sources)
        public = await self._exits.enter_async_context(PublicAddress(settings.sip_public_address, settings.sip_address))
        try:
            with coarse_timers(TIMER_SLACK_SECONDS):
                await self._runtime.start(stack_config(settings, trace=watch))
        except BaresipError as error:
            raise SipError(f"the SIP stack does not start: {error}") from None
        self._exits.push_async_callback(self._stop)
        self._runtime.on_dead = self._died
        self._runtime.subscribe(self._on_event)
        for account in listener_accounts(settings, public.port):
            self._listeners[account.transport] = await self._open(account)
        if trunk := trunk_account(settings, public.port):
            self._trunk = await self._open(trunk)
            if trunk.reg_interval:
                self._spawn(self._register(self._trunk))
        self._spawn(self._check())

    async def _open(self, account: Account) -> UserAgent:
        agent = await UserAgent.create(self._runtime, account, transfer_policy="reject")
        agent.on_incoming(self._on_call)
        return agent

    async def _stop(self) -> None:
        for leg in list(self._legs.values()):
            await leg.hang_up(EndReason.DRAINED)
        while self._tasks:
            # Again and again: in 3.11 a command that completes just then swallows the cancellation.
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.1)
        if self._trunk is not None and self.registered:
            try:
                await self._trunk.unregister(timeout=2)
            except BaresipError as error:
                log.warning("could not unregister", extra={"error": str(error)})
        metrics.registered.set(0)
        if not self._stuck.possible:
            await self._runtime.close()
            return
        log.warning("the SIP stack holds stuck calls and is left to the end of the process")
        await asyncio.sleep(FAREWELL_SECONDS)
        atexit.unregister(self._runtime._forced_teardown)  # it would close the stack after all

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _died(self) -> None:
        for leg in list(self._legs.values()):
            leg.end(EndReason.FAILED, "the SIP stack has stopped")
        self._arrived.put_nowait(None)

    async def _register(self, agent: UserAgent) -> None:
        """Register, again and again until it works; the stack renews it from then on."""
        while not self.registered:
            try:
                await agent.register()
            except RegistrationError as error:
                registrar = Plain(self._settings.sip_registrar)
                log.error(
                    "not registered", extra={"registrar": registrar, "status": error.status, "error": error.reason}
                )
                await asyncio.sleep(REGISTER_RETRY_SECONDS)

    async def _check(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for leg in list(self._legs.values()):
                await leg.check(loop.time(), self._settings.dead_call_seconds)
            if stuck := self._stuck.check(loop.time()):
                metrics.stuck.inc(stuck)
                log.warning("broken INVITEs got stuck in the SIP stack", extra={"calls": self._stuck.count})
            if not self.healthy and not self._legs:
                self._arrived.put_nowait(None)
                return

    def _on_event(self, event: StackEvent) -> None:
        if event.event in (Event.REGISTER_OK, Event.REGISTER_FAIL) and self._trunk and event.ua == self._trunk.handle:
            if event.event is Event.REGISTER_OK:
                self._registered.set()
            else:
                self._registered.clear()
            metrics.registered.set(self.registered)
        self._stuck.on_stack_event(event, asyncio.get_running_loop().time())
        if event.call in self._legs:
            self._pass_on(event)
        elif self._dialling:
            self._early.append(event)

    def _pass_on(self, event: StackEvent) -> None:
        self._legs[event.call].on_stack_event(event)
        if event.event is Event.CALL_CLOSED:
            del self._legs[event.call]
            if not self._legs:
                self._idle.set()

    def _on_call(self, call: Call) -> None:
        headers = call.headers
        caller = user_of(headers.get("P-Asserted-Identity") or call.peer or "")
        called = user_of(headers.get("P-Called-Party-ID") or headers.get("To", ""))
        full = len(self._legs) >= self._settings.sip_max_calls or not self.healthy
        leg = self._adopt(call, CallInfo(_call_id(), "inbound", caller, called, "sip", headers))
        if full:
            metrics.refused.labels("full").inc()
            self._spawn(leg.reject(EndReason.REFUSED))
            return
        self._spawn(self._admit(leg, call.call_id or ""))

    def _adopt(self, call: Call, info: CallInfo) -> SipLeg:
        settings = self._settings
        leg = SipLeg(call, info, settings.dial_rules, settings.ring_seconds, settings.jitter_seconds)
        self._legs[call.handle] = leg
        self._idle.clear()
        return leg

    async def _admit(self, leg: SipLeg, sip_call_id: str) -> None:
        everybody = any(network.prefixlen == 0 for network in self._networks)
        source = "" if everybody else await self._sources.source_of(sip_call_id)
        if everybody or is_allowed_source(source, self._networks):
            self._arrived.put_nowait(leg)
            return
        metrics.refused.labels("source").inc()
        log.warning(
            "refused a call from outside the allowed networks",
            extra={"source": Plain(source or "unknown"), "setting": f"{self._settings.prefix}SIP_TRUNKS"},
        )
        await leg.reject(EndReason.REFUSED)


def _call_id() -> str:
    return secrets.token_urlsafe(12)
