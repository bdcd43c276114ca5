"""A SIP phone on raw sockets, for what no well-behaved phone does: it sends exactly what it is told."""

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.rawmedia import Datagrams, RawMedia

LOCAL = "127.0.0.1"
PATIENCE = 30.0
"""Seconds for a message: a peer on a busy machine, and SIP's own repetitions up to its 32 s, take their time."""
_branches = itertools.count(1)


@dataclass
class Message:
    """A SIP message, as far as tests look at it."""

    start: str
    headers: list[tuple[str, str]]
    body: str
    source: tuple[str, int] = ("", 0)

    @classmethod
    def parse(cls, data: bytes, source: tuple[str, int]) -> "Message":
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        return cls(start, [(n.strip(), v.strip()) for n, _, v in (x.partition(":") for x in lines)], body, source)

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        return self.header("CSeq").split()[-1]

    @property
    def media_port(self) -> int:
        found = re.search(r"m=audio (\d+)", self.body)
        return int(found[1]) if found else 0


@dataclass
class Dialog:
    """One call as the raw phone knows it."""

    call_id: str
    local_tag: str
    target: str
    remote_to: str
    """To header of requests, with the tag once it is known."""
    cseq: int = 1
    branch: str = ""
    media: tuple[str, int] = (LOCAL, 0)
    local_from: str = ""
    routes: list[str] = field(default_factory=list)


class RawPhone:
    """`async with RawPhone() as phone:`. Signalling is by hand; `media` is its RTP."""

    def __init__(self, server: int = 0, address: str = LOCAL) -> None:
        self.server = (LOCAL, server)
        self.address = address
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.media = RawMedia(address)
        self.auto_ok = True
        """Answer BYE, OPTIONS and re-INVITEs by ourselves."""
        self.auto_refer: str | None = None
        """What a REFER is told in the end: a status line, such as "200 OK"."""
        self.seen: list[Message] = []
        self.directions: list[str] = []
        """a= lines of the re-INVITEs that came."""
        self.user = "+15551234"

    async def __aenter__(self) -> "RawPhone":
        loop = asyncio.get_running_loop()
        self._sip, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(self._on_sip), local_addr=(self.address, 0)
        )
        await self.media.open()
        self.port = self._sip.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.media.close()
        self._sip.close()

    # Signalling

    def sdp(self, formats: str = "0 101", extra: str = "a=sendrecv\r\n") -> str:
        """An offer or answer for PCMU and telephone-event."""
        return (
            f"v=0\r\no=- 1 1 IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\n"
            f"m=audio {self.media.port} RTP/AVP {formats}\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n{extra}"
        )

    def send(self, text: str, to: tuple[str, int] | None = None) -> None:
        """One datagram."""
        self._sip.sendto(text.encode("utf-8", "surrogateescape"), to or self.server)

    def send_raw(self, data: bytes) -> None:
        """One datagram, bytes as they are."""
        self._sip.sendto(data, self.server)

    def dialog(self, called: str = "+493012345") -> Dialog:
        """A call that was not yet sent."""
        target = f"sip:{called}@{self.server[0]}:{self.server[1]}"
        tag = f"t{next(_branches)}"
        return Dialog(
            f"call-{self.port}-{next(_branches)}",
            tag,
            target,
            f"<{target}>",
            local_from=f"<sip:{self.user}@{self.address}:{self.port}>;tag={tag}",
        )

    def request(self, dialog: Dialog, method: str, body: str = "", extra: str = "", branch: str = "") -> str:
        """Text of a request."""
        dialog.branch = branch or f"z9hG4bK{next(_branches)}"
        kind = "Content-Type: application/sdp\r\n" if body else ""
        routes = "".join(f"Route: {route}\r\n" for route in dialog.routes)
        return (
            f"{method} {dialog.target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.address}:{self.port};branch={dialog.branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: {dialog.local_from}\r\nTo: {dialog.remote_to}\r\nCall-ID: {dialog.call_id}\r\n"
            f"CSeq: {dialog.cseq} {method}\r\nContact: <sip:{self.user}@{self.address}:{self.port}>\r\n"
            f"{routes}{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        )

    async def receive(self, want: Callable[[Message], bool], timeout: float = PATIENCE) -> Message:
        """The next message for which `want` holds; others are left out. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while True:
                message = await self.inbox.get()
                if want(message):
                    return message

    async def response(self, method: str = "INVITE", timeout: float = PATIENCE) -> Message:
        """The final response to a request."""
        return await self.receive(lambda m: m.status >= 200 and m.method == method, timeout)

    async def call(self, body: str | None = None, called: str = "+493012345", extra: str = "") -> Dialog:
        """INVITE, 200, ACK. Raises AssertionError with the status where it is refused."""
        dialog = self.dialog(called)
        self.send(self.request(dialog, "INVITE", self.sdp() if body is None else body, extra))
        answer = await self.response()
        assert answer.status == 200, answer.start
        self.confirm(dialog, answer)
        return dialog

    def confirm(self, dialog: Dialog, answer: Message) -> None:
        """Send the ACK for a 200."""
        dialog.remote_to = answer.header("To")
        dialog.media = (LOCAL, answer.media_port)
        dialog.target = answer.header("Contact").strip("<>").split(">")[0]
        dialog.routes = [route for name, route in reversed(answer.headers) if name.lower() == "record-route"]
        self.send(self.request(dialog, "ACK"))

    async def bye(self, dialog: Dialog) -> Message:
        """Hang up."""
        dialog.cseq += 1
        self.send(self.request(dialog, "BYE"))
        return await self.response("BYE")

    async def reinvite(self, dialog: Dialog, direction: str) -> Message:
        """Re-INVITE with a=`direction`."""
        dialog.cseq += 1
        self.send(self.request(dialog, "INVITE", self.sdp(extra=f"a={direction}\r\n")))
        answer = await self.response()
        self.send(self.request(dialog, "ACK"))
        return answer

    def respond(self, request: Message, status: str, body: str = "", extra: str = "", tag: str = "") -> None:
        """Answer a request."""
        copied = [(n, v) for n, v in request.headers if n.lower() in ("via", "from", "call-id", "cseq", "record-route")]
        to = request.header("To") + (f";tag={tag}" if tag and "tag=" not in request.header("To") else "")
        kind = "Content-Type: application/sdp\r\n" if body else ""
        lines = "".join(f"{n}: {v}\r\n" for n, v in copied)
        self.send(
            f"SIP/2.0 {status}\r\n{lines}To: {to}\r\nContact: <sip:{self.user}@{self.address}:{self.port}>\r\n"
            f"{extra}{kind}Content-Length: {len(body)}\r\n\r\n{body}",
            request.source,
        )

    def _on_sip(self, data: bytes, source: tuple[str, int]) -> None:
        message = Message.parse(data, source)
        self.seen.append(message)
        if self.auto_ok and not message.status and self._answer_request(message):
            return
        self.inbox.put_nowait(message)

    def _answer_request(self, message: Message) -> bool:
        match message.method:
            case "INVITE" if "tag=" in message.header("To"):
                found = re.search(r"a=(sendrecv|sendonly|recvonly|inactive)", message.body)
                self.directions.append(found[1] if found else "")
                mirror = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(self.directions[-1], self.directions[-1])
                self.respond(message, "200 OK", self.sdp(extra=f"a={mirror}\r\n"))
            case "BYE" | "OPTIONS" | "INFO":
                self.respond(message, "200 OK")
                return False
            case "REFER" if self.auto_refer is not None:
                self._refer(message, self.auto_refer)
                return False
            case _:
                return False
        return True

    def _refer(self, request: Message, outcome: str) -> None:
        if not outcome.startswith("200"):
            self.respond(request, outcome)
            return
        self.respond(request, "202 Accepted")
        body = f"SIP/2.0 {outcome}\r\n"
        contact = request.header("Contact").strip("<>").split(">")[0]
        own = f"{self.address}:{self.port}"
        lines = (
            f"NOTIFY {contact} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bKn{next(_branches)}",
            f"From: {request.header('To')}",
            f"To: {request.header('From')}",
            f"Call-ID: {request.header('Call-ID')}",
            f"CSeq: {9000 + next(_branches)} NOTIFY",
            "Event: refer",
            "Subscription-State: terminated;reason=noresource",
            "Max-Forwards: 70",
            f"Contact: <sip:{self.user}@{own}>",
            "Content-Type: message/sipfrag",
            f"Content-Length: {len(body)}",
        )
        self.send("\r\n".join(lines) + f"\r\n\r\n{body}", request.source)
