"""The record of calls: who, when, what was said and heard, how long each stage took; and the recordings."""

from agent.store.call_record import CallRecord
from agent.store.recorder import Recorder
from agent.store.records import CallRecordRows, CallRow, EventRow, TurnRow, WordRow
from agent.store.store import Store

__all__ = ["CallRecord", "CallRecordRows", "CallRow", "EventRow", "Recorder", "Store", "TurnRow", "WordRow"]
