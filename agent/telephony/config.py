"""Settings of the SIP side, and what they become in the words of the SIP stack."""

import ipaddress
from pathlib import Path
from typing import ClassVar, Literal, Self, cast

from baresip import Account, Config
from pydantic import Field, SecretStr, field_validator, model_validator

from agent.telephony.policy import DialRules, Network, parse_networks
from agent.telephony.stuck import LIMIT as STUCK_LIMIT
from services.settings import Names, Settings

CODECS = {"pcmu": "pcmu", "pcma": "pcma", "g722": "g722/16000/1", "opus": "opus/48000/1"}
Transport = Literal["udp", "tcp", "tls"]
TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")
ENCRYPTION = {"off": "", "optional": "srtp", "mandatory": "srtp-mand"}
LISTENER_USER = "trunkline"
HEADERS = (
    "To",
    "From",
    "P-Asserted-Identity",
    "P-Called-Party-ID",
    "Diversion",
    "User-Agent",
    "X-Agent",
    "X-Call-Id",
)
"""What of an INVITE is kept; the stack allows 16."""


class SipSettings(Settings):
    """Fields of the agent's settings that concern SIP and RTP."""

    prefix: ClassVar[str] = "TRUNKLINE_AGENT_"

    sip_address: str = Field(
        "", description="Local address for SIP and RTP; empty uses every interface except loopback."
    )
    sip_port: int = Field(5060, ge=1, le=65534, description="Port for SIP over UDP and TCP; TLS uses the next one.")
    sip_transports: Names = Field(("udp", "tcp"), description="Of udp, tcp and tls, those to listen on.")
    sip_certificate: Path | None = Field(None, description="PEM file with private key and certificate; TLS needs it.")
    sip_ca_file: Path | None = Field(
        None, description="PEM file with the authorities that a TLS peer must be signed by."
    )
    sip_srtp: Literal["off", "optional", "mandatory"] = Field(
        "off", description="SDES-SRTP: off, optional (taken when offered) or mandatory."
    )
    sip_codecs: Names = Field(
        ("g722", "pcmu", "pcma", "opus"), description="Of pcmu, pcma, g722 and opus, those in use; the best first."
    )
    sip_max_calls: int = Field(50, ge=1, le=200, description="Calls at once in one process; more are answered 486.")
    sip_trunks: Names = Field(
        ("127.0.0.0/8", "::1/128"), description="Networks whose calls are taken; 0.0.0.0/0 takes everybody's."
    )
    sip_public_address: str = Field(
        "", description="Address that peers see, where a NAT forwards SIP and RTP ports unchanged."
    )
    sip_registrar: str = Field("", description="host or host:port of a PBX or trunk to register with; empty: none.")
    sip_domain: str = Field("", description="Domain of the account and of dialled numbers; empty: the registrar.")
    sip_user: str = Field("", description="User of the account at the registrar.")
    sip_auth_user: str = Field("", description="Name for digest, where it is not the user.")
    sip_password: SecretStr = Field(SecretStr(""), description="Password for digest.")
    sip_transport: Transport = Field("udp", description="Transport to the registrar and for dialling.")
    sip_register: bool = Field(True, description="Register; no = use the account for digest of outbound calls only.")
    dial_allow: Names = Field(
        (),
        description="Patterns of what may be dialled and transferred to: +49*, 0NXXXXXX*, *@10.0.0.5. Empty: nothing.",
    )
    rtp_ports: str = Field("20000-29999", pattern=r"^\d{4,5}-\d{4,5}$", description="Range of UDP ports for media.")
    rtp_timeout_seconds: int = Field(30, ge=2, le=3600, description="Without RTP for this long a call has ended.")
    dead_call_seconds: int = Field(
        120, ge=10, le=86400, description="On hold without any sign of the far end for this long, a call has ended."
    )
    ring_seconds: float = Field(45.0, ge=1, le=300, description="How long an outbound call may ring.")
    jitter_ms: str = Field("40-100", pattern=r"^\d{1,3}-\d{1,3}$", description="Jitter buffer, shortest-longest.")

    @field_validator("sip_codecs")
    @classmethod
    def _known_codecs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _subset(value, tuple(CODECS))

    @field_validator("sip_transports")
    @classmethod
    def _known_transports(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _subset(value, TRANSPORTS)

    @field_validator("sip_trunks")
    @classmethod
    def _valid_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_networks(value)
        return value

    @field_validator("sip_address", "sip_public_address")
    @classmethod
    def _valid_address(cls, value: str) -> str:
        if value:
            ipaddress.ip_address(value)
        return value

    @field_validator("rtp_ports", "jitter_ms")
    @classmethod
    def _rising(cls, value: str) -> str:
        low, high = map(int, value.split("-"))
        if low >= high:
            raise ValueError("the first number must be the smaller one")
        return value

    @field_validator("sip_certificate", "sip_ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "tls" in self.sip_transports and self.sip_certificate is None:
            raise ValueError(f"{self.prefix}SIP_TRANSPORTS: tls needs {self.prefix}SIP_CERTIFICATE")
        if self.sip_registrar and not self.sip_user:
            raise ValueError(f"{self.prefix}SIP_REGISTRAR needs {self.prefix}SIP_USER")
        return self

    @property
    def trunk_networks(self) -> tuple[Network, ...]:
        """Networks whose calls are taken."""
        return parse_networks(self.sip_trunks)

    @property
    def jitter_seconds(self) -> float:
        """What the jitter buffer holds back on a clean line."""
        return int(self.jitter_ms.split("-")[0]) / 1000

    @property
    def dial_rules(self) -> DialRules:
        """What may be dialled, and where plain numbers go."""
        return DialRules(self.dial_allow, self.sip_domain or self.sip_registrar)


def _subset(value: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [name for name in value if name not in known]
    if wrong or not value:
        raise ValueError(f"valid are {', '.join(known)}" + (f", not {', '.join(wrong)}" if wrong else ""))
    return value


def stack_config(settings: SipSettings, trace: bool) -> Config:
    """The stack's own configuration. `trace` reports every SIP message with its source address."""
    lines = [
        f"sip_listen {_host(settings) or '0.0.0.0'}:{settings.sip_port}",
        f"sip_transports {','.join(settings.sip_transports)}",
        f"sip_verify_server {'yes' if settings.sip_ca_file else 'no'}",
        f"rtp_ports {settings.rtp_ports}",
        # Measured: one-way delay 103 ms with the defaults, 43 ms with these, at 5 % loss and 30 ms jitter alike.
        "audio_jitter_buffer_type fixed",
        f"audio_jitter_buffer_ms {settings.jitter_ms}",
        "audio_buffer 20-60",
        "audio_buffer_mode fixed",
        "call_hold_other_calls no",
        f"call_local_timeout {int(settings.ring_seconds) + 5}",
        "opus_stereo no",  # one channel, which is also what makes the name opus/48000/1
        "opus_inbandfec yes",
    ]
    if settings.sip_certificate:
        lines.append(f"sip_certificate {settings.sip_certificate}")
    if settings.sip_ca_file:
        lines.append(f"sip_cafile {settings.sip_ca_file}")
    return Config(
        net_interface=settings.sip_address or None,
        expose_headers=HEADERS,
        sip_trace=trace,
        # The limit is kept by SipRuntime; this one leaves room for calls that the stack cannot let go of.
        max_concurrent_calls=settings.sip_max_calls + 2 * STUCK_LIMIT,
        rtp_timeout=settings.rtp_timeout_seconds,
        extra_config_text="\n".join(lines),
    )


def listener_accounts(settings: SipSettings, stun_port: int) -> list[Account]:
    """Take calls to any number that is sent here. The stack wants one for each transport."""
    return [_listener(settings, cast("Transport", transport), stun_port) for transport in settings.sip_transports]


def _listener(settings: SipSettings, transport: Transport, stun_port: int) -> Account:
    return Account(
        user=LISTENER_USER,
        domain=_host(settings) or "0.0.0.0",
        password="",
        reg_interval=0,
        transport=transport,
        audio_codecs=_codecs(settings),
        dtmf_mode="auto",
        extra_params=("catchall=yes", *_common_parameters(settings, stun_port)),
    )


def trunk_account(settings: SipSettings, stun_port: int) -> Account | None:
    """The account at a PBX or trunk, if there is one: registers, and answers digest challenges."""
    if not settings.sip_user:
        return None
    domain = settings.sip_domain or settings.sip_registrar
    proxy = settings.sip_registrar
    return Account(
        user=settings.sip_user,
        domain=domain,
        password=settings.sip_password.get_secret_value(),
        registrar=f"sip:{proxy};transport={settings.sip_transport}" if proxy else None,
        reg_interval=600 if settings.sip_registrar and settings.sip_register else 0,
        transport=settings.sip_transport,
        audio_codecs=_codecs(settings),
        dtmf_mode="auto",
        auth_user=settings.sip_auth_user or None,
        extra_params=_common_parameters(settings, stun_port),
    )


def _host(settings: SipSettings) -> str:
    """Our address as addresses with a port are written."""
    return f"[{settings.sip_address}]" if ":" in settings.sip_address else settings.sip_address


def _codecs(settings: SipSettings) -> tuple[str, ...]:
    return tuple(CODECS[name] for name in settings.sip_codecs)


def _common_parameters(settings: SipSettings, stun_port: int) -> tuple[str, ...]:
    parameters = [
        "100rel=yes",
        # Without a video codec the stack has no reason to send a re-INVITE 0.1 s after every answer.
        "video_codecs=none",
    ]
    if encryption := ENCRYPTION[settings.sip_srtp]:
        parameters.append(f"mediaenc={encryption}")
    if settings.sip_public_address:
        host = _host(settings) or "127.0.0.1"
        parameters += ["medianat=stun", f"stunserver=stun:{host}:{stun_port}"]
    return tuple(parameters)
