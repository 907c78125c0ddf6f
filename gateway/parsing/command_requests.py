"""The bodies of commands: amend, halt, resume, settle, requeue, discard. Pure.

All faults of a request are reported at once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from events.commands.orders import NEVER
from gateway.http.problems import Problem
from gateway.parsing import values
from gateway.parsing.field_reader import FieldReader, parse_object

_IF_MATCH = re.compile(r'"?(\d{1,9})"?', re.ASCII)


class Amendment(NamedTuple):
    """New terms of an order; None leaves a term as it is, `NEVER` removes the expiry."""

    version: int
    target_price: str | None
    expires_at_us: int | None
    actor: str | None


class Switch(NamedTuple):
    """Why the engine is halted or resumed, and by whom."""

    reason: str
    actor: str | None


class ParkedAct(NamedTuple):
    """Why a parked order is settled, requeued or discarded, and by whom."""

    reason: str
    actor: str | None
    signature: str = ""


def parse_amendment(body: bytes, if_match: str | None, *, now_us: int) -> Amendment:
    """The body of a PATCH; the version is in the body or in If-Match. Raises Problem."""
    form = FieldReader(parse_object(body))
    matched = _version_of(if_match)
    version = form.take("version", values.as_version, required=matched is None)
    if version is not None and matched not in (None, version):
        form.fault("malformed-version", "version", "If-Match says another version")
    price = form.take("targetPrice", values.as_price)
    expires = form.take("expiresAt", values.as_time, now_us)
    if form.is_null("expiresAt"):
        expires = NEVER
    actor = form.take("actor", values.as_text)
    if not (form.has("targetPrice") or form.has("expiresAt") or form.is_null("expiresAt")):
        form.fault("missing-field", "targetPrice", "`targetPrice` or `expiresAt` is required")
    form.check_names({"version", "targetPrice", "expiresAt", "actor"})
    form.check()
    return Amendment(version or matched or 0, price, expires, actor)


def _version_of(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    match = _IF_MATCH.fullmatch(if_match.strip())
    if match is None:
        raise Problem("malformed-version", "If-Match: the version as a number")
    return int(match[1])


def parse_switch(body: bytes, *, reason_required: bool) -> Switch:
    """The body of a halt or resume. Raises Problem."""
    form = FieldReader(parse_object(body))
    reason = form.take("reason", values.as_text, required=reason_required)
    actor = form.take("actor", values.as_text)
    form.check_names({"reason", "actor"})
    form.check()
    return Switch(reason or "", actor)


def parse_parked(body: bytes, *, signature: bool) -> ParkedAct:
    """The body of a command for a parked order. Raises Problem."""
    form = FieldReader(parse_object(body))
    names = ("reason", "actor", *(("signature",) if signature else ()))
    texts = {name: form.take(name, values.as_text) for name in names}
    form.check_names(set(names))
    form.check()
    return ParkedAct(texts["reason"] or "", texts["actor"], texts.get("signature") or "")
