"""Settings of the agent process."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from agent.telephony.config import SipSettings
from services.settings import Names


class AgentSettings(SipSettings):
    """Environment variables with the prefix `TRUNKLINE_AGENT_`; the SIP side's fields stand in its own class."""

    agents: Path = Field(Path("agents"), description="Directory with one TOML file per agent.")
    var: Path = Field(Path("var"), description="Directory for records, recordings, calendars and the API token.")
    stt_targets: Names = Field(("127.0.0.1:7001",), description="host:port of each speech-to-text worker.")
    llm_targets: Names = Field(("127.0.0.1:7002",), description="host:port of each language-model worker.")
    tts_targets: Names = Field(("127.0.0.1:7003",), description="host:port of each text-to-speech worker.")
    http_host: str = Field("127.0.0.1", description="Address of the HTTP interface.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the HTTP interface; 0 takes a free one.")
    api_token: SecretStr = Field(SecretStr(""), description="Bearer token of the API; empty: made on first start.")
    processes: int = Field(
        1, ge=1, le=64, description="Agent processes. Process i takes SIP port + 2i, HTTP port + i, its share of RTP."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error."
    )
    log_words: bool = Field(False, description="Write spoken words and phone numbers into the log. For debugging only.")
    drain_seconds: float = Field(1800.0, ge=0, le=86400, description="How long calls may go on after SIGTERM.")
