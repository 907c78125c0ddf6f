"""Orders over HTTP: submit one or many.

A 2xx means that the order is durably in the log. When that is unknown, the response is
`outcome-unknown` with the id that the order has if it was accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from aiohttp import web
from msgspec.structs import replace

from events.archive import ArchiveUnavailable
from events.commands.idempotency import Claim, claim_of, digest_of, names_of
from events.ids import new_order_id
from events.log import AppendRequest, AppendResult, AppendStatus, EventLog, LogError, order_in
from events.money import Token
from events.telemetry.server_clock import now_us as server_now_us
from events.types import OrderSubmitted
from gateway.api.order_lookup import find_order
from gateway.backends.backend_errors import ANSWER_S, not_written, reading_log
from gateway.backends.health import Health
from gateway.http import responses
from gateway.http.access_log import ORDER_ID
from gateway.http.problems import Problem
from gateway.middleware.auth import own_account
from gateway.middleware.origin import OriginGuard
from gateway.parsing.body import body_of
from gateway.parsing.field_reader import Fields, parse_object
from gateway.parsing.order_request import IDEMPOTENCY_KEY, parse_batch, parse_key, parse_order
from gateway.parsing.traceparent import traced
from projections.feed.history_reader import Archive

APPEND_S = 1.5
"""How long an append may take before its outcome counts as unknown."""

BATCHES_AT_ONCE = 4
"""More wait: the orders of a flood of batches are not all ahead of a cancel."""

INTERNAL = 500
"""From this status on a problem speaks of the engine, not of the request."""

PARSED_AT_ONCE = 50
"""Orders of a batch that are parsed in one turn of the loop."""


_log = structlog.get_logger()


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A new order and its append request."""

    order_id: str
    fact: OrderSubmitted
    request: AppendRequest


class Orders:
    """The handlers that create orders."""

    def __init__(
        self,
        log: EventLog,
        archive: Archive,
        health: Health,
        *,
        tokens: Mapping[str, Token],
    ) -> None:
        self._log = log
        self._archive = archive
        self._health = health
        self._tokens = tokens
        self._batches = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def submit(self, request: web.Request) -> web.Response:
        """POST /api/orders/execute."""
        OriginGuard.check_json(request)
        body = await body_of(request)
        key = parse_key(request.headers.getall(IDEMPOTENCY_KEY, ()))
        account = own_account(request)
        fact = await self._parsed(parse_object(body), key, server_now_us(), account)
        return await self._take(traced(fact, request), account, request)

    async def _take(self, fact: OrderSubmitted, account: str, request: web.Request) -> web.Response:
        submission = self._submission(fact, account)
        result = (await self._append([submission]))[0]
        if (earlier := await self._earlier(fact, result)) is not None:
            request[ORDER_ID] = earlier
            return responses.replayed(earlier, (await self._statuses([earlier]))[0])
        _check_written(result)
        request[ORDER_ID] = submission.order_id
        _log.debug("order_accepted", order_id=submission.order_id, account=account)
        return responses.accepted(submission.order_id)

    async def _retried_late(
        self, fields: Fields, key: str | None, problem: Problem, account: str
    ) -> OrderSubmitted:
        """The fact of a retry whose order has expired since it was accepted.

        Raises `problem` where it was never accepted.
        """
        if any(fault.code != "expires-at-past" for fault in problem.faults):
            raise problem
        fact = parse_order(fields, self._tokens, now_us=-1, key=key)
        names = names_of(self._log.keys, account, "", fact)
        async with reading_log():
            values = await self._log.lookup_idempotency_keys(names.keys) if names else []
        if any(value is not None for value in values):
            return fact
        raise problem

    async def submit_batch(self, request: web.Request) -> web.Response:
        """POST /api/orders/batch. All valid orders are written in one append."""
        OriginGuard.check_json(request)
        body = await body_of(request)
        async with self._batches:
            return await self._submit_all(request, body)

    async def _submit_all(self, request: web.Request, body: bytes) -> web.Response:
        raw_orders = parse_batch(body)
        account = own_account(request)
        key = parse_key(request.headers.getall(IDEMPOTENCY_KEY, ()))
        now_us = server_now_us()
        submissions: dict[int, Submission] = {}
        results: list[dict[str, Any]] = []
        for index, raw in enumerate(raw_orders):
            if index % PARSED_AT_ONCE == PARSED_AT_ONCE - 1:
                await asyncio.sleep(0)
            try:
                fields = parse_object(raw)
                own_key = None if key is None else f"{key}#{index}"
                fact = await self._parsed(fields, own_key, now_us, account)
            except Problem as problem:
                if problem.status >= 500:  # of the log, not of the order: nothing is written
                    raise
                results.append(_rejected(index, problem))
            else:
                submissions[index] = self._submission(traced(fact, request), account)
                results.append({"index": index, "status": "pending"})
        append_results = await self._append(list(submissions.values()))
        for (index, submission), answer in zip(submissions.items(), append_results, strict=True):
            results[index] = await self._batch_result(index, submission, answer)
            if not {"replayed", "problem"} & results[index].keys():
                _log.debug("order_accepted", order_id=submission.order_id, account=account)
        await self._fill_in_statuses(results)
        taken = [result for result in results if result["status"] != "rejected"]
        if taken and all(result.get("replayed") for result in taken):
            return responses.json_response({"results": results}, headers=responses.REPLAYED)
        return responses.json_response({"results": results}, status=202)

    async def _parsed(
        self, fields: Fields, key: str | None, now_us: int, account: str
    ) -> OrderSubmitted:
        try:
            return parse_order(fields, self._tokens, now_us=now_us, key=key)
        except Problem as problem:
            return await self._retried_late(fields, key, problem, account)

    def _submission(self, fact: OrderSubmitted, account: str) -> Submission:
        order_id = new_order_id(self._log.partition, now_ms=server_now_us() // 1000)
        names = names_of(self._log.keys, account, order_id, fact)
        request, _ = self._log.build_creation(order_id, account, fact, names)
        return Submission(order_id, fact, request)

    async def _append(self, submissions: Sequence[Submission]) -> list[AppendResult]:
        self._health.check_accepting()
        # Without `writing_log`: its timeout would cost a tenth of a POST, and the log has its own.
        try:
            return await self._log.append(
                [submission.request for submission in submissions], timeout_s=APPEND_S
            )
        except LogError as error:
            raise not_written(error, self._health, **_named(submissions)) from error

    async def _batch_result(
        self, index: int, submission: Submission, result: AppendResult
    ) -> dict[str, Any]:
        try:
            earlier = await self._earlier(submission.fact, result)
        except Problem as problem:
            if problem.status >= INTERNAL:
                # Not rejected for good: the name's order exists, and a store did not answer.
                existing = claim_of(result.duplicate_of).order_id
                problem = Problem(problem.code, problem.detail, orderId=existing)
            return _rejected(index, problem)
        if earlier is not None:
            return {"index": index, "status": "pending", "orderId": earlier, "replayed": True}
        _check_written(result)
        return {"index": index, "status": "pending", "orderId": submission.order_id}

    async def _earlier(self, fact: OrderSubmitted, result: AppendResult) -> str | None:
        """The order that has these idempotency keys, if any. Raises Problem if it differs."""
        if result.status not in (AppendStatus.DUPLICATE, AppendStatus.AMBIGUOUS):
            return None
        claim = claim_of(result.duplicate_of)
        detail = "the key names an order that was asked for differently"
        if result.status is AppendStatus.AMBIGUOUS:
            detail = "clientOrderId and Idempotency-Key name two orders"
        elif claim.digest == digest_of(fact) or await self._asked_unnamed(fact, claim):
            return claim.order_id
        raise Problem("idempotency-conflict", detail, orderId=claim.order_id)

    async def _asked_unnamed(self, fact: OrderSubmitted, claim: Claim) -> bool:
        """Whether the request is the same, apart from a clientOrderId that it leaves out."""
        if fact.client_order_id is not None:
            return False
        order = await find_order(self._log, self._archive, claim.order_id)
        name = order.client_order_id if order is not None else None
        return claim.digest == digest_of(replace(fact, client_order_id=name))

    async def _fill_in_statuses(self, results: list[dict[str, Any]]) -> None:
        again = [result for result in results if result.get("replayed")]
        statuses = await self._statuses([result["orderId"] for result in again])
        for result, status in zip(again, statuses, strict=True):
            result["status"] = status

    async def _statuses(self, order_ids: Sequence[str]) -> list[str]:
        """The statuses of existing orders; `pending` where neither log nor archive can be read."""
        try:
            async with asyncio.timeout(ANSWER_S):
                heads = await self._log.load(order_ids)
        except (LogError, TimeoutError):
            heads = [None] * len(order_ids)
        return [await self._status(i, h) for i, h in zip(order_ids, heads, strict=True)]

    async def _status(self, order_id: str, head: Any) -> str:
        if head is not None:
            with contextlib.suppress(msgspec.DecodeError):  # else as the archive knows it
                return str(order_in(head, order_id).status)
        try:
            order = await self._archive.order(order_id)
        except ArchiveUnavailable:
            order = None
        return str(order.status) if order else "pending"


def _rejected(index: int, problem: Problem) -> dict[str, Any]:
    return {"index": index, "status": "rejected", "problem": problem.document()}


def _check_written(result: AppendResult) -> None:
    """Raises Problem for a creation that the log refused."""
    if result.status is AppendStatus.SUSPENDED:
        raise Problem("suspended")
    if result.status not in (AppendStatus.CREATED, AppendStatus.EXISTS):
        raise Problem("log-unavailable", f"the log refused the order: {result.status.value}")


def _named(submissions: Sequence[Submission]) -> dict[str, Any]:
    """The ids of orders with an unknown outcome, as fields of the problem."""
    ids = [submission.order_id for submission in submissions]
    return {"orderId": ids[0]} if len(ids) == 1 else {"orderIds": ids}
