"""What a server refuses at connecting ends a process only where no retry changes it."""

from __future__ import annotations

import asyncpg
import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError

from events.archive.pool import ArchiveRejected, _unavailable
from events.log import is_permanent

REPLIES = {
    "LOADING Redis is loading the dataset in memory": False,
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": False,
    "READONLY You can't write against a read only replica.": False,
    "CLUSTERDOWN The cluster is down": False,
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL.": False,
    "TRYAGAIN Multiple keys request during rehashing of slot": False,
    "MISCONF Redis is configured to save RDB snapshots": False,
    "NOREPLICAS Not enough good replicas to write.": False,
    "OOM command not allowed when used memory > 'maxmemory'.": False,
    "ERR max number of clients reached": False,
    "ERR max number of clients + cluster connections reached": False,
    "upstream failure": False,
    "no upstream host": False,
    "ERR server closed connection": False,
    "NOAUTH Authentication required.": True,
    "WRONGPASS invalid username-password pair or user is disabled.": True,
    "NOPERM User mute has no permissions to run the 'client|setname' command": True,
    "DENIED Redis is running in protected mode because no password is set": True,
    "ERR invalid password": True,
    "ERR AUTH <password> called without any password configured for the default user."
    " Are you sure your configuration is correct?": True,
    "ERR wrong number of arguments for 'auth' command": True,
    "ERR unknown command 'CLIENT'": True,
    "ERR unknown subcommand 'SETNAME'. Try CLIENT HELP.": True,
    "ERR upstream connect error or disconnect/reset before headers": False,
    "ERR Proxy error: backend was REMOVED": False,
    "ERR Error running function": False,
    "ERR syntax error": True,
    "ERR unknown command 'FCALL', with args beginning with: 'oe_open'": True,
    "ERR unsupported command 'FCALL'": True,
    "ERR Command is not available: 'FUNCTION'. See https://upstash.com": True,
    "MOVED 3999 127.0.0.1:6381": True,
    "ASK 3999 127.0.0.1:6381": True,
    "CROSSSLOT Keys in request don't hash to the same slot": True,
    "WRONGTYPE Operation against a key holding the wrong kind of value": True,
    "ERR DB index is out of range": True,
    "ERR invalid DB index": True,
    "ERR Client names cannot contain spaces, newlines or special characters.": True,
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(("reply", "permanent"), REPLIES.items())
def test_a_reply_of_redis_at_connecting(reply: str, permanent: bool, wrapped: bool) -> None:
    error: Exception = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]  # untyped in redis-py
    if wrapped:  # as redis-py raises the answers of its own login
        cause, error = error, RedisConnectionError("login")
        error.__cause__ = cause
    assert is_permanent(error) is permanent


ERRORS = {
    ("08P01", "no more connections allowed (max_client_conn)"): False,
    ("08P01", "server login has been failing, cached error: connect failed"): False,
    ("08P01", "query_wait_timeout"): False,
    ("08P01", "client_login_timeout (server down)"): False,
    ("08P01", "unsupported startup parameter: jit"): True,
    ("08P01", "unsupported startup parameter in options: search_path"): True,
    ("42P05", 'prepared statement "__asyncpg_stmt_1__" already exists'): True,
    ("26000", 'prepared statement "__asyncpg_stmt_1__" does not exist'): True,
    ("53300", "sorry, too many clients already"): False,
    ("57P03", "the database system is starting up"): False,
    ("28P01", 'password authentication failed for user "desk"'): True,
    ("28000", 'role "desk" does not exist'): True,
    ("3D000", 'database "nowhere" does not exist'): True,
    ("42704", 'unrecognized configuration parameter "x"'): True,
}


@pytest.mark.parametrize(("answer", "permanent"), ERRORS.items())
def test_an_error_of_postgres_or_of_a_pooler(answer: tuple[str, str], permanent: bool) -> None:
    code, message = answer
    error = asyncpg.PostgresError.new({"S": "FATAL", "C": code, "M": message})
    assert error.sqlstate == code
    assert isinstance(_unavailable(error), ArchiveRejected) is permanent


def test_a_pooler_in_transaction_mode_is_named() -> None:
    error = asyncpg.PostgresError.new(
        {"S": "ERROR", "C": "42P05", "M": 'prepared statement "a" already exists'}
    )
    assert str(_unavailable(error)).endswith("set pool_mode=session")
