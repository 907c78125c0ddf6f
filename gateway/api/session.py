"""GET /api/session: who the API key of a request is, for clients that show or adapt to it."""

from __future__ import annotations

from aiohttp import web

from gateway.http import responses
from gateway.middleware.auth import PRINCIPAL
from gateway.parsing.parameter_tables import NONE
from gateway.parsing.parameters import reject_unknown_parameters


async def read(request: web.Request) -> web.Response:
    """GET /api/session: account, scopes and the id of the key; null without a key."""
    reject_unknown_parameters(request.query, NONE)
    principal = request[PRINCIPAL]
    content = {
        "account": principal.account,
        "scopes": sorted(principal.scopes),
        "keyId": principal.key_id or None,
    }
    return responses.json_response(content)
