"""The steps of the Postman collection: a flow through the endpoints. Pure.

Each step names an endpoint, what is sent to it and what is expected of its response. `postman` adds
a step for each endpoint without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.parsing.order_request import IDEMPOTENCY_KEY

Json = dict[str, Any]

BASE = "{{baseUrl}}"
DANGER = "DANGEROUS on anything but a test engine: leave it out of a run of the whole collection."
SWAP = {"tokenIn": "{{tokenIn}}", "tokenOut": "{{tokenOut}}", "amount": "{{amount}}"}
ORDER = SWAP | {"slippageBps": 50}
LIMIT = {"type": "limit", **SWAP, "targetPrice": "{{targetPrice}}"}
EXACT = SWAP | {"amount": "{{amountOut}}", "swapMode": "exactOut"}
BEST = (
    ("names the best route and why", "pm.expect(pm.response.json().best.why).to.be.a('string')"),
)
KEY = {IDEMPOTENCY_KEY: "{{idempotencyKey}}"}

SUBMIT = ("POST", "/api/orders/execute")
READ = ("GET", "/api/orders/{id}")
AMEND = ("PATCH", "/api/orders/{id}")
CANCEL = ("DELETE", "/api/orders/{id}")
CANCEL_MANY = ("DELETE", "/api/orders")
QUOTES = ("GET", "/api/quotes")
READY = ("GET", "/readyz")


class Step(NamedTuple):
    """A request, and what is expected of its answer."""

    name: str
    operation: tuple[str, str]
    statuses: tuple[int, ...]
    description: str
    body: Json | None = None
    of: str = "{{orderId}}"
    """The order, where the path names one."""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    keep: str = ""
    """The variable that keeps the order's id."""
    checks: tuple[tuple[str, str], ...] = ()


class Folder(NamedTuple):
    """Steps that belong together."""

    name: str
    steps: tuple[Step, ...]
    description: str = ""


def _is(field: str, value: str) -> str:
    return f"pm.expect(pm.response.json().{field}).to.eql('{value}')"


def _checks_code(code: str) -> tuple[tuple[str, str], ...]:
    return (("says why", _is("code", code)),)


FLOW = Folder(
    "1 Flow",
    (
        Step(
            "Submit an order", SUBMIT, (200, 202),
            "202 means that the order is in the log, durably. Keeps its id in `orderId`.",
            ORDER, headers=KEY, keep="orderId",
        ),
        Step(
            "Submit it again under the same key", SUBMIT, (200,),
            "200, `Idempotent-Replayed: true` and the first order.", ORDER, headers=KEY,
            checks=(
                (
                    "is the first order",
                    "pm.expect(pm.response.json().orderId)"
                    ".to.eql(pm.collectionVariables.get('orderId'))",
                ),
                (
                    "says so",
                    "pm.expect(pm.response.headers.get('Idempotent-Replayed')).to.eql('true')",
                ),
            ),
        ),
        Step(
            "Read the order", READ, (200,), "The order as it is now.",
            checks=(("has a status", "pm.expect(pm.response.json().status).to.be.a('string')"),),
        ),
        Step(
            "Submit an order with a name", SUBMIT, (200, 202),
            "The name is the client's own: `clientOrderId`.",
            ORDER | {"clientOrderId": "{{clientOrderId}}"},
        ),
        Step(
            "Read it by its name", ("GET", "/api/orders/by-client-id/{clientOrderId}"), (200,),
            "At once, from the log's index of names.",
        ),
        Step(
            "List orders", ("GET", "/api/orders"), (200,), "Newest first. `nextCursor` continues.",
            query={"status": "{{status}}", "limit": "20"},
            checks=(("is a list", "pm.expect(pm.response.json().orders).to.be.an('array')"),),
        ),
        Step(
            "Events of the order", ("GET", "/api/orders/{id}/events"), (200,),
            "Its history with positions, times and hashes.",
            checks=(("begins at the beginning", _is("events[0].event", "OrderSubmitted")),),
        ),
        Step(
            "Ask for quotes", QUOTES, (200,),
            "Every route that an order would be compared by, refusals included; `best` with `why`"
            " and what slippage leaves of it.",
            query=SWAP | {"slippageBps": "50"}, checks=BEST,
        ),
        Step(
            "Ask what an exact output costs", QUOTES, (200,),
            "With exactOut the amount is of tokenOut; routes are compared by what goes in, and"
            " `best` says `maxAmountIn`.",
            query=EXACT, checks=BEST,
        ),
        Step(
            "Test an order without submitting it", ("POST", "/api/orders/test"), (200,),
            "Validated and routed as a submission is; `outcome` is what would become of it now.",
            ORDER, checks=(("has an outcome", "pm.expect(pm.response.json().outcome).to.be.ok"),),
        ),
        Step(
            "Submit an order with an exact output", SUBMIT, (202,),
            "Exactly `amount` of tokenOut comes out; at most `maxAmountIn` goes in.",
            EXACT | {"maxAmountIn": "{{maxAmountIn}}"}, keep="exactOrderId",
        ),
    ),
    "Run in this order: submit, read, list, events.",
)  # fmt: skip

BATCH = Folder(
    "2 Batch",
    (
        Step(
            "Submit a good and a bad order", ("POST", "/api/orders/batch"), (202,),
            "202 with one result an order.", {"orders": [ORDER, ORDER | {"amount": "0"}]},
            checks=(
                (
                    "takes one, explains the other",
                    "pm.expect(pm.response.json().results.map(r => r.status))"
                    ".to.eql(['pending', 'rejected'])",
                ),
            ),
        ),
    ),
)  # fmt: skip

REFUSALS = Folder(
    "3 Refusals",
    (
        Step(
            "An unknown token", SUBMIT, (400,),
            "400 problem+json with a code and a JSON pointer.", ORDER | {"tokenIn": "DOGE"},
            checks=(("names the field", _is("pointer", "/tokenIn")),),
        ),
        Step(
            "The key of another request", SUBMIT, (422,), "422 idempotency-conflict.",
            ORDER | {"amount": "2"}, headers=KEY,
        ),
        Step(
            "An order that does not exist", READ, (404,), "404 unknown-order.",
            of="01900000-0000-7000-8000-000000000001",
        ),
        Step(
            "A limit order without its price", SUBMIT, (400,), "`missing-field` at `/targetPrice`.",
            {"type": "limit", **SWAP}, checks=_checks_code("missing-field"),
        ),
        Step(
            "A field of another type", SUBMIT, (400,), "`field-not-allowed` at `/targetPrice`.",
            SWAP | {"targetPrice": "1"}, checks=_checks_code("field-not-allowed"),
        ),
        Step(
            "Cancel nothing in particular", CANCEL_MANY, (400,),
            "`filter-required`: an empty filter cancels nothing by accident.",
            checks=_checks_code("filter-required"),
        ),
    ),
)  # fmt: skip

HEALTH = Folder(
    "4 Health",
    (
        Step("Alive", ("GET", "/healthz"), (200,), "The process runs."),
        Step(
            "Ready", READY, (200, 503),
            "Backends, durability, and the lag of each stage and of the projection.",
        ),
    ),
)  # fmt: skip

WAITING = Folder(
    "5 Waiting orders (dangerous: cancels orders)",
    (
        Step(
            "Submit a limit order", SUBMIT, (202,),
            "Waits until one tokenIn pays `targetPrice` tokenOut, net; never filled worse. Keeps"
            " its id in `limitOrderId`.",
            LIMIT, keep="limitOrderId",
        ),
        Step(
            "Submit a limit order that expires", SUBMIT, (202,), "`GTT`: until `expiresAt`.",
            LIMIT | {"timeInForce": "GTT", "expiresAt": "2090-01-01T00:00:00Z"},
        ),
        Step(
            "Submit a sniper order", SUBMIT, (202,),
            "Waits for a pool of the token, or for its liquidity, and fires at once.",
            {"type": "sniper", **SWAP, "minLiquidity": "1000000000", "maxPrice": "1",
             "slippageBps": 300},
        ),
        Step(
            "Submit a market order for one attempt", SUBMIT, (202,),
            "IOC or FOK: at least `minAmountOut` at once, or it fails.",
            SWAP | {"minAmountOut": "1", "timeInForce": "IOC"},
        ),
        Step(
            "Amend the limit order", AMEND, (200, 409),
            "While it is `watching` and at this version; 409 `not-watching` or `version-conflict`"
            " otherwise.",
            {"version": 2, "targetPrice": "999999"}, of="{{limitOrderId}}",
        ),
        Step(
            "Cancel the limit order", CANCEL, (200,),
            "200 until it is sent, 409 `too-late` afterwards.", of="{{limitOrderId}}",
            query={"reason": "changed my mind"},
        ),
        Step(
            "Cancel it again", CANCEL, (200,), "The same answer: nothing happens twice.",
            of="{{limitOrderId}}",
        ),
        Step(
            "Cancel what is open of a token", CANCEL_MANY, (200,),
            "A result for each order; continue with `cursor` until `nextCursor` is null.",
            query={"token": "{{tokenOut}}", "status": "watching"},
        ),
    ),
    f"{DANGER} Limit and sniper orders, and what may be done about them until they are sent. The"
    " last step cancels every open order of a token.",
)  # fmt: skip

HALT = Folder(
    "6 Halt (dangerous: stops the engine)",
    (
        Step(
            "Halt", ("POST", "/api/admin/halt"), (200,),
            "Seen in /readyz and on the feed; orders are still taken and cancelled.",
            {"reason": "a drill", "actor": "postman"},
        ),
        Step(
            "Ready while halted", READY, (200,), "`halted` says why, by whom and since when.",
            checks=(("says so", _is("halted.reason", "a drill")),),
        ),
        Step(
            "Resume", ("POST", "/api/admin/resume"), (200,), "What was stopped continues.",
            {"actor": "postman"},
        ),
    ),
    f"{DANGER} It halts the engine: nothing is sent and no trigger fires until it is resumed.",
)  # fmt: skip

PARKED = Folder(
    "9 Parked orders (dangerous: acts of an operator)",
    tuple(
        Step(
            f"{name.title()} an order that is not parked",
            ("POST", f"/api/admin/parked/{{id}}/{name}"), (409,),
            item, {"actor": "postman"},
        )
        for name, item in (
            ("settle", "Closes one by the chain's record of its transaction."),
            ("requeue", "Puts one back to work."),
            ("discard", "Fails one of which no transaction can land."),
        )
    ),
    f"{DANGER} What ends each kind of parking is in docs/reference/commands.md.",
)  # fmt: skip

LOOKING = Folder(
    "7 Documents",
    (
        Step("Where things are", ("GET", "/"), (200,), "Links."),
        Step("OpenAPI", ("GET", "/openapi.json"), (200,), "What HTTP offers."),
        Step("AsyncAPI", ("GET", "/asyncapi.json"), (200,), "What the WebSockets say."),
        Step("To read", ("GET", "/docs"), (200,), "Both documents as one page."),
        Step("Tokens", ("GET", "/api/tokens"), (200,), "What can be traded."),
        Step("Session", ("GET", "/api/session"), (200,), "Account and scopes of the API key."),
        Step(
            "Prices", ("GET", "/api/prices/history"), (200,), "A pair over the last day.",
            query={"tokenIn": "SOL", "tokenOut": "USDC"},
        ),
        Step("Metrics", ("GET", "/metrics"), (200,), "For Prometheus."),
        Step("A file of the console", ("GET", "/static/{name}"), (200,), "Its style sheet."),
    ),
)  # fmt: skip

AUDIT = Folder(
    "8 Audit",
    (
        Step(
            "An order as it was", ("GET", "/api/audit/orders/{id}"), (200,),
            "At a position or time; now without one.",
        ),
        Step(
            "Its proof", ("GET", "/api/audit/orders/{id}/proof"), (200,),
            "Its chain, to be checked without this gateway: `engine audit check-proof`.",
        ),
        Step(
            "All orders by status", ("GET", "/api/audit/state"), (200, 503),
            "At a position or time. 503 while another audit runs.",
        ),
        Step(
            "Verify", ("GET", "/api/audit/verify"), (200, 503),
            "Everything; as Server-Sent Events, the verdict at last.",
        ),
    ),
)  # fmt: skip

FOLDERS = (FLOW, BATCH, REFUSALS, HEALTH, WAITING, HALT, LOOKING, AUDIT, PARKED)

VARIABLES = {
    "baseUrl": "http://127.0.0.1:3000",
    "apiKey": "",
    "tokenIn": "SOL",
    "tokenOut": "USDC",
    "amount": "1.5",
    "status": "confirmed",
    "clientOrderId": "",
    "idempotencyKey": "",
    "orderId": "",
    "targetPrice": "1000000",
    "limitOrderId": "",
    "amountOut": "150",
    "maxAmountIn": "2",
    "exactOrderId": "",
}
