"""Parameters of a call, commitments, and errors as a real node returns them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from solders.pubkey import Pubkey
from solders.signature import Signature

from engine.localnet.node import Node
from engine.localnet.state.accounts import Account

INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL_ERROR = -32600, -32601, -32602, -32603
PARSE_ERROR = -32700
BLOCK_NOT_AVAILABLE, SLOT_SKIPPED = -32004, -32009
PREFLIGHT_FAILED, BAD_SIGNATURE = -32002, -32003
VERSION_UNSUPPORTED, CONTEXT_TOO_OLD = -32015, -32016
COMMITMENTS = ("processed", "confirmed", "finalized")
_LEVELS = {"recent": "processed", "single": "confirmed", "singleGossip": "confirmed",
           "root": "finalized", "max": "finalized"}  # fmt: skip


class RpcError(Exception):
    """An error response."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        return body if self.data is None else body | {"data": self.data}


def invalid(message: str) -> RpcError:
    """The error of invalid parameters."""
    return RpcError(INVALID_PARAMS, message)


class Call(NamedTuple):
    """A call: positional parameters, and the configuration object that may follow them."""

    node: Node
    params: Sequence[Any]

    def text(self, at: int) -> str:
        """A string parameter. Raises RpcError."""
        if at >= len(self.params) or not isinstance(self.params[at], str):
            raise invalid("`params` should have at least 1 argument(s)" if not self.params else
                          f"Invalid params: expected a string at {at}.")  # fmt: skip
        return str(self.params[at])

    def whole(self, at: int) -> int:
        """A parameter that is a whole number, 0 or more. Raises RpcError."""
        value = self.params[at] if at < len(self.params) else None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise invalid(f"Invalid params: expected u64 at {at}.")
        return value

    def texts(self, at: int, most: int) -> list[str]:
        """A parameter that is a list of strings. Raises RpcError."""
        value = self.params[at] if at < len(self.params) else None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise invalid("Invalid params: invalid type, expected a sequence.")
        if len(value) > most:
            raise invalid(f"Too many inputs provided; max {most}")
        return value

    def config(self, at: int) -> dict[str, Any]:
        """The configuration, empty where there is none. Raises RpcError, also where the slot is
        below `minContextSlot`.
        """
        value = self.params[at] if at < len(self.params) else None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise invalid("Invalid params: invalid type, expected a configuration object.")
        least = value.get("minContextSlot")
        if least is not None and least > (slot := self.slot(commitment(value))):
            raise RpcError(
                CONTEXT_TOO_OLD, "Minimum context slot has not been reached", {"contextSlot": slot}
            )
        return value

    def slot(self, level: str) -> int:
        """The newest slot of a commitment."""
        blocks = self.node.bank.blocks
        return blocks.at(blocks.height(level)).slot

    def answer(self, level: str, value: Any) -> dict[str, Any]:
        """A value with its slot, as the result of a call."""
        return {"context": {"apiVersion": "4.3.0", "slot": self.slot(level)}, "value": value}

    def account(self, address: str, level: str) -> Account | None:
        """An account as of a commitment."""
        return self.node.bank.account(address, level)


def commitment(config: dict[str, Any], otherwise: str = "finalized") -> str:
    """The commitment of a configuration. Raises RpcError for an unknown one."""
    value = config.get("commitment") or otherwise
    value = _LEVELS.get(value, value)
    if value not in COMMITMENTS:
        raise invalid(f"Invalid params: unknown variant `{value}`, expected a commitment.")
    return str(value)


def address(text: str) -> str:
    """The address, if it is well formed. Raises RpcError."""
    try:
        Pubkey.from_string(text)
    except ValueError:
        raise invalid("Invalid param: Invalid") from None
    return text


def signature(text: str) -> str:
    """The signature, if it is well formed. Raises RpcError."""
    try:
        Signature.from_string(text)
    except ValueError:
        raise invalid("Invalid param: Invalid") from None
    return text
