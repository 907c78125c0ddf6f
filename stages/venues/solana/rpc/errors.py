"""The errors of a call to the nodes: what was refused, not served, too large, or not answered."""

from __future__ import annotations

from events.reason_codes import ReasonCode
from stages.venues import VenueRefusal
from stages.venues.solana.rpc.faults import About, Fault

NOT_ASKED = Fault(About.NODE, "not asked")


class RpcError(VenueRefusal):
    """A refusal of what was asked for, which no other node contradicts: asking again would not
    help. `number` is JSON-RPC's.
    """

    def __init__(self, number: int, message: str) -> None:
        # The number comes first, once: the node's message may begin with it too.
        text = message.removeprefix(f"{number}").strip()
        super().__init__("node-refused", f"{number}: {text[:200]}")
        self.number = number


class Unreachable(VenueRefusal):
    """No node gave a result within the bounds. What was sent may have arrived all the same.
    `fault` is what was answered last.
    """

    def __init__(
        self, detail: str, fault: Fault = NOT_ASKED, *, code: ReasonCode = "venue-unavailable"
    ) -> None:
        super().__init__(code, detail, retryable=True)
        self.fault = fault


class NotServed(Unreachable):
    """No node serves the method; the detail names it."""

    def __init__(self, detail: str, fault: Fault = NOT_ASKED) -> None:
        super().__init__(detail, fault, code="method-not-served")


class TooLarge(Unreachable):
    """No node takes so many items in one call; `size_max` is the most that one takes."""

    def __init__(self, detail: str, size_max: int) -> None:
        super().__init__(detail, code="call-too-large")
        self.size_max = size_max
