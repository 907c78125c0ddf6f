"""Secrets: values whose text is masked, so that no log line, error or f-string can show one.

What opens a door has one of these types from where it is read to where it is used: API keys, wallet
keys, signed transactions, URLs with passwords or keys. `reveal()` is the only way to the value, and
its call is what a review looks for. JSON, pickle and msgspec refuse them; the log's own encoder,
which has to store signed transactions, knows `stored` and `restored`.
"""

from __future__ import annotations

import hmac
import re
from typing import Any, Generic, NoReturn, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

MASK = "***"
KEY_MIN = 8
"""Parts of a URL at least so long are taken for keys."""

T = TypeVar("T", str, bytes)


class Secret(Generic[T]):
    """A value that is not shown. Secrets are compared in constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value: T = value

    @classmethod
    def of(cls, value: T | Self) -> Self:
        """The value as a secret, where it is not one yet."""
        return value if isinstance(value, cls) else cls(value)  # type: ignore[arg-type]

    def reveal(self) -> T:
        """The value itself, for the one who uses it."""
        return self._value

    def __str__(self) -> str:
        return MASK if self._value else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret) or type(self._value) is not type(other._value):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class SecretText(Secret[str]):
    """An API key, or a wallet's key."""

    __slots__ = ()


class SecretBytes(Secret[bytes]):
    """A signed transaction: its owner can send it, also once its order is cancelled."""

    __slots__ = ()


class SecretUrl(SecretText):
    """A URL that may hold a password or a key: its text is where it leads, and no more."""

    __slots__ = ()

    def __str__(self) -> str:
        return _address(self._value)

    @property
    def well_formed(self) -> bool:
        """Whether it can be read as it is meant: a `/`, `?` or `#` of a password that is not
        percent-encoded ends the host there, and what reads it says the rest aloud.
        """
        try:
            parts = urlsplit(self._value)
        except ValueError:
            return False
        hosts = parts.netloc.rpartition("@")[2]
        return (
            "://" in self._value
            and bool(parts.scheme)
            and not parts.fragment
            and "@" not in parts.path + parts.query
            and bool(_HOSTS.fullmatch(hosts))
        )

    def parts(self) -> tuple[str, ...]:
        """What of it may be a key, the longest first: its login, long parts of its path and of
        its query; of a database's its password alone. For finding them in the words of others.
        """
        if not self.well_formed:
            return (self._value,) if self._value else ()
        parts = urlsplit(self._value)
        if parts.scheme in _DATABASES:
            pairs = parse_qsl(parts.query)
            collected = [value for name, value in pairs if name not in _OPEN_PARAMETERS]
        else:
            values = (value for _, value in parse_qsl(parts.query, keep_blank_values=True))
            collected = [part for part in (*parts.path.split("/"), *values) if len(part) >= KEY_MIN]
        login = parts.netloc.rpartition("@")[0]
        user, _, password = login.partition(":")
        collected += [password] if parts.scheme in _DATABASES else [user, password]
        collected = [part for part in collected if part]
        both = {*collected, *map(unquote, collected)}
        return tuple(sorted(both, key=len, reverse=True))


def stored(value: object) -> object:
    """For the encoder of events and orders: how a secret stands in the log."""
    if isinstance(value, SecretBytes):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} is not stored")


def restored(kind: type, value: Any) -> Any:
    """For the decoder of events and orders: inverse of `stored`."""
    if kind is SecretBytes and isinstance(value, bytes):
        return SecretBytes(value)
    raise NotImplementedError(f"{kind.__name__} is not stored")


_HOSTS = re.compile(r"[\w.\-%]*(:\d+)?(,[\w.\-%]+(:\d+)?)*|\[[\da-fA-F:.%\w]+\](:\d+)?", re.ASCII)
_DATABASES = ("redis", "rediss", "unix", "postgres", "postgresql")
"""The path of these is a database or a socket, and their user is public."""
_OPEN_PARAMETERS = frozenset(
    [
        "application_name", "connect_timeout", "db", "dbname", "host", "hostaddr", "port",
        "protocol", "sslmode", "target_session_attrs", "user", "username",
    ]
)  # fmt: skip


def _address(url: str) -> str:
    """Scheme, hosts, and what can be no secret of the rest. Anything odd is masked as a whole."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    login, _, hosts = parts.netloc.rpartition("@")
    rest = parts.path + parts.query + parts.fragment
    if not parts.scheme or "@" in rest or parts.fragment or not _HOSTS.fullmatch(hosts):
        return MASK  # a password that is not quoted may stand anywhere
    database = parts.scheme in _DATABASES
    shown = f"{parts.scheme}://{_login(login, database)}{hosts}"
    if parts.path not in ("", "/"):
        shown += parts.path if database else f"/{MASK}"
    if parts.query:
        shown += "?" + "&".join(_parameter(part, database) for part in parts.query.split("&"))
    return shown


def _login(text: str, database: bool) -> str:
    user, colon, _ = text.partition(":")
    if not text:
        return ""
    # Without a password the user may be one, as it is in the URLs of some providers.
    return f"{user}:{MASK}@" if database and colon else f"{MASK}@"


def _parameter(text: str, database: bool) -> str:
    name, equals, _ = text.partition("=")
    if not (database and equals):
        return MASK
    return text if name in _OPEN_PARAMETERS else f"{name}={MASK}"


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
