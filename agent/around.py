"""What the parts of one call's conversation share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from agent.clients import Mind, TextToSpeech
from agent.definition import AgentDefinition
from agent.dialogue import Ids
from agent.readymade import ReadyMade
from agent.recording import Recording
from agent.store import CallRecord
from agent.telephony.leg import EndReason, Leg
from agent.tooling import Tooling
from agent.turnlog import TurnLog


@dataclass(frozen=True)
class Around:
    """What a conversation works with. All of it belongs to one call, but for the shared workers."""

    definition: AgentDefinition
    leg: Leg
    mind: Mind
    tts: TextToSpeech
    ready_made: ReadyMade
    tooling: Tooling
    record: CallRecord
    recording: Recording
    turn_log: TurnLog
    new_id: Ids
    group: asyncio.TaskGroup
    hang_up: Callable[[EndReason], None]
    elapsed: Callable[[], float]
