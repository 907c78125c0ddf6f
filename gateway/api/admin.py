"""Commands of an operator for the engine as a whole: halt, resume."""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from events.commands import engine_switch
from events.commands.engine_switch import Answer, Outcome
from events.log import EventLog
from gateway.backends.backend_errors import reading_log, writing_log
from gateway.backends.engine_status import engine_view
from gateway.backends.health import Health
from gateway.http import responses
from gateway.http.problems import Problem
from gateway.middleware.auth import actor_name
from gateway.middleware.origin import OriginGuard
from gateway.parsing.body import body_of
from gateway.parsing.command_requests import Switch, parse_switch
from gateway.parsing.parameter_tables import NONE
from gateway.parsing.parameters import reject_unknown_parameters
from projections.feed.history_reader import Archive

ACT_S = 1.0
VIEW_S = 0.8


class Admin:
    """The handlers below /api/admin."""

    def __init__(self, log: EventLog, archive: Archive, health: Health) -> None:
        self._log = log
        self._archive = archive
        self._health = health

    async def halt(self, request: web.Request) -> web.Response:
        """POST /api/admin/halt: once it is answered, nothing is sent and no trigger fires."""
        switch = await self._parse_switch(request, reason_required=True)
        actor = actor_name(request, switch.actor)
        return await self._done(engine_switch.halt(self._log, switch.reason, actor))

    async def resume(self, request: web.Request) -> web.Response:
        """POST /api/admin/resume."""
        switch = await self._parse_switch(request, reason_required=False)
        actor = actor_name(request, switch.actor)
        return await self._done(engine_switch.resume(self._log, actor, switch.reason))

    async def _parse_switch(self, request: web.Request, *, reason_required: bool) -> Switch:
        OriginGuard.check_json(request)
        reject_unknown_parameters(request.query, NONE)
        switch = parse_switch(await body_of(request), reason_required=reason_required)
        self._health.check_open()
        async with reading_log(VIEW_S):  # while it cannot even be read, nothing is written
            await self._log.halted()
        return switch

    async def _done(self, command: Awaitable[Answer]) -> web.Response:
        """The state after the command, whether or not this request caused it."""
        async with writing_log(self._health, ACT_S):
            executed = await command
            if executed.outcome is Outcome.CONFLICT:
                raise Problem("version-conflict", "the engine's state kept changing")
            view = await engine_view(self._log, self._archive)
        return responses.json_response(view)
