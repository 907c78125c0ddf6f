"""`engine up` keeps its port for its gateway, from before the gateway listens."""

from __future__ import annotations

import errno
import socket
import sys

import pytest
from aiohttp import web

from engine.commands.up import claimed_port
from engine.processes.program import StartError
from engine.settings import Settings
from tests.support.processes.engine_up import free_port

HOST = "127.0.0.1"


async def test_the_gateway_listens_on_the_port_that_is_held_for_it() -> None:
    settings = Settings(host=HOST, port=free_port())
    runner = web.AppRunner(web.Application())
    await runner.setup()
    with claimed_port(settings):
        await web.TCPSite(runner, settings.host, settings.port).start()
    await runner.cleanup()


def test_a_program_that_takes_any_free_port_gets_another() -> None:
    settings = Settings(host=HOST, port=free_port())
    with claimed_port(settings), socket.socket() as other:
        with pytest.raises(OSError, match="in use") as refused:
            other.bind((HOST, settings.port))
        assert refused.value.errno == errno.EADDRINUSE


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are of Linux")
def test_another_engine_that_starts_on_the_port_is_told() -> None:
    """Its gateway would not start, and it would take ours for its own."""
    settings = Settings(host=HOST, port=free_port())
    told = f"cannot listen on HOST={HOST} PORT={settings.port}: Address already in use"
    with claimed_port(settings):
        with pytest.raises(StartError, match=told), claimed_port(settings):
            pass
        with claimed_port(Settings(host=HOST, port=free_port())):
            pass
    with claimed_port(settings):
        pass
