"""The events of the engine switch and of API keys, one file each.

A file has the struct, the transitions and the fold; the public payload is in the file of the same
name in `projections/views/payloads`. Pure. Imports the states of these streams. Public:
`ENGINE_EVENTS`, `KEY_EVENTS`, and the structs through `events.types`.
"""

from __future__ import annotations

from typing import Any

from events.streams.events import (
    engine_halted,
    engine_resumed,
    key_created,
    key_revoked,
    key_rotated,
)
from events.streams.state import EngineState, KeyRing
from events.streams.system_event import SystemEvent

ENGINE_EVENTS: tuple[SystemEvent[EngineState, Any], ...] = (
    engine_halted.EVENT,
    engine_resumed.EVENT,
)

KEY_EVENTS: tuple[SystemEvent[KeyRing, Any], ...] = (
    key_created.EVENT,
    key_rotated.EVENT,
    key_revoked.EVENT,
)
