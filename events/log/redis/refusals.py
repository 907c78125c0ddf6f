"""Which replies of a log server, or of a proxy before it, pass, and which no retry changes."""

from __future__ import annotations

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterCrossSlotError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

_PERMANENT_CODES = ("WRONGTYPE", "NOPROTO", "CROSSSLOT", "MOVED", "ASK")
"""What a server answers that has other data, an older protocol, or many nodes."""

_PERMANENT = (NoPermissionError, AskError, ClusterCrossSlotError)
_PERMANENT_TEXTS = (
    "DENIED", "unknown command", "unknown subcommand", "DB index", "invalid DB", "syntax error",
    "wrong number of arguments", "Client names", "is not available: ", "unsupported command",
    "not supported",
)  # fmt: skip
"""What the other replies hold where no retry changes them. Servers and proxies have many that pass,
and name them freely: "max number of clients", "upstream failure"."""

UNSENT_TEXTS = ("no upstream host", "max number of clients", "no available connection")
"""What proxies reply where no server got the command, in any case of letters."""
UNANSWERED_TEXTS = (
    "upstream failure", "upstream timeout", "timed out", "connection refused", "connection reset",
    "server closed connection", "host unreachable",
)  # fmt: skip
"""What proxies reply where a server may have executed it: Envoy, twemproxy and others."""
_FUNCTION_ERROR = "user_function"
"""Part of every error that a function on the server raises: that is a bug, and no outage."""


def is_of_function(error: ResponseError) -> bool:
    """Whether a function of the engine raised it. Pure."""
    return _FUNCTION_ERROR in str(error)


def is_permanent(error: Exception) -> bool:
    """Whether this is a refusal that no retry changes: a login, a command, a database. Pure."""
    if type(error) is RedisConnectionError and isinstance(error.__cause__, RedisError):
        error = error.__cause__  # redis-py wraps the answers of its own login
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return True
    if not isinstance(error, ResponseError):
        return False
    text = str(error)
    # redis-py takes the code off the errors that it has classes for.
    if isinstance(error, _PERMANENT) or text.partition(" ")[0] in _PERMANENT_CODES:
        return True
    return any(part in text for part in _PERMANENT_TEXTS)
