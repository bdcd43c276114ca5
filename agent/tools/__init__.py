"""The functions a language model may call. Only this package acts on the world; a model can only ask."""

from agent.tools.calendar import Calendar
from agent.tools.results import (
    Action,
    CollectDigits,
    EndCall,
    ToolContext,
    ToolResult,
    ToolSpec,
    TransferCall,
)
from agent.tools.toolbox import Toolbox

__all__ = [
    "Action",
    "Calendar",
    "CollectDigits",
    "EndCall",
    "ToolContext",
    "ToolResult",
    "ToolSpec",
    "Toolbox",
    "TransferCall",
]
