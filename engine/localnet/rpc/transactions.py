"""Methods that accept transactions and report their outcome."""

from __future__ import annotations

from typing import Any

from solders.transaction import VersionedTransaction

from engine.localnet import node as nodes
from engine.localnet.execute import Outcome
from engine.localnet.landed import Landed, seen
from engine.localnet.rpc.encoding import TRANSACTION, shown, transaction_bytes
from engine.localnet.rpc.parameters import (
    BAD_SIGNATURE,
    PREFLIGHT_FAILED,
    Call,
    RpcError,
    address,
    commitment,
    invalid,
    signature,
)
from engine.localnet.state import transaction as tx
from engine.localnet.state.failures import NotTaken, words

STATUSES_MAX = 256
HISTORY_MAX = 1_000


async def send_transaction(call: Call) -> Any:
    """Accepts a transaction, after a preflight unless `skipPreflight`."""
    config = call.config(1)
    read, signed = _read(call.node, call.text(0), config)
    if not tx.verify(signed):
        raise RpcError(BAD_SIGNATURE, "Transaction signature verification failure")
    try:
        await call.node.send(read, preflight=not config.get("skipPreflight"))
    except nodes.Failed as error:
        raise _failed(error) from None
    return read.signature


def simulate_transaction(call: Call) -> Any:
    """Executes a transaction without keeping anything."""
    config = call.config(1)
    read, signed = _read(call.node, call.text(0), config)
    fresh, check = bool(config.get("replaceRecentBlockhash")), bool(config.get("sigVerify"))
    if fresh and check:
        raise invalid("sigVerify may not be used with replaceRecentBlockhash")
    if check and not tx.verify(signed):
        raise RpcError(BAD_SIGNATURE, "Transaction signature verification failure")
    level = commitment(config)
    accounts = None
    try:
        outcome, view = call.node.simulate(read, fresh_blockhash=fresh)
    except nodes.Failed as error:
        value = _simulated(error.err, None)
    else:
        value = _simulated(outcome.err, outcome)
        accounts_config = config.get("accounts")
        if accounts_config:
            mints = call.node.bank.state.accounts.get
            accounts = [
                shown(view.get(address(each)), {"encoding": "base64"} | accounts_config, mints)
                for each in accounts_config.get("addresses", [])
            ]
    value["accounts"] = accounts
    if fresh:
        blocks = call.node.bank.blocks
        value["replacementBlockhash"] = {
            "blockhash": blocks.tip.blockhash,
            "lastValidBlockHeight": blocks.tip.height + blocks.lifetime,
        }
    return call.answer(level, value)


def _read(
    node: nodes.Node, encoded: str, config: dict[str, Any]
) -> tuple[tx.Transaction, VersionedTransaction]:
    raw = transaction_bytes(encoded, config.get("encoding") or "base58")
    try:
        read, signed = tx.read(raw)
    except ValueError as error:
        raise invalid(f"failed to deserialize {TRANSACTION}: {error}") from None
    except NotTaken as error:
        if error.err == "SanitizeFailure":
            raise invalid(f"invalid transaction: {error.words}") from None
        raise _failed(nodes.Failed(error.err)) from None
    if not node.bank.takes(read.version):
        raise invalid(f"invalid transaction: {words('UnsupportedVersion')}")
    return read, signed


def _failed(error: nodes.Failed) -> RpcError:
    data = _simulated(error.err, error.outcome) | {"accounts": None}
    return RpcError(PREFLIGHT_FAILED, f"Transaction simulation failed: {words(error.err)}", data)


def _simulated(err: Any, outcome: Outcome | None) -> dict[str, Any]:
    return {
        "err": err,
        "innerInstructions": None,
        "logs": outcome.logs if outcome else [],
        "returnData": None,
        "unitsConsumed": outcome.units if outcome else 0,
        "loadedAccountsDataSize": outcome.loaded if outcome else 0,
    }


def get_signature_statuses(call: Call) -> Any:
    """The status of up to 256 transactions; null for unknown ones."""
    signatures = [signature(each) for each in call.texts(0, STATUSES_MAX)]
    history = bool(call.config(1).get("searchTransactionHistory"))
    landed = [call.node.landed(each, history=history) for each in signatures]
    return call.answer("processed", [_status(call, each) if each else None for each in landed])


def _status(call: Call, landed: Landed) -> dict[str, Any]:
    seen_ = seen(call.node.bank.blocks, landed)
    return {
        "slot": landed.slot,
        "confirmations": seen_.confirmations,
        "err": landed.err,
        "status": {"Ok": None} if landed.err is None else {"Err": landed.err},
        "confirmationStatus": seen_.status,
    }


def get_signatures_for_address(call: Call) -> Any:
    """The newest transactions that a wallet paid for, or that name it."""
    address_, config = address(call.text(0)), call.config(1)
    limit = min(HISTORY_MAX, config.get("limit") or HISTORY_MAX)
    before, until = (config.get(name) for name in ("before", "until"))
    level = commitment(config)
    if level == "processed":
        raise invalid("Method does not support commitment below `confirmed`")
    call.node.save()
    landed = call.node.store.of_account(
        address_,
        height=call.node.bank.blocks.height(level),
        before=signature(before) if before else "",
        until=signature(until) if until else "",
        limit=limit,
    )
    return [
        {
            "signature": each.signature,
            "slot": each.slot,
            "err": each.err,
            "memo": f"[{len(each.memo.encode())}] {each.memo}" if each.memo else None,
            "blockTime": each.time_s,
            "confirmationStatus": seen(call.node.bank.blocks, each).status,
        }
        for each in landed
    ]


METHODS = {
    "sendTransaction": send_transaction,
    "simulateTransaction": simulate_transaction,
    "getSignatureStatuses": get_signature_statuses,
    "getSignaturesForAddress": get_signatures_for_address,
}
