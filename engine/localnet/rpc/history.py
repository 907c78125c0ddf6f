"""`getTransaction`: a transaction and its effects."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from solders.message import MessageV0, MessageV1
from solders.transaction import VersionedTransaction

from engine.localnet.landed import Landed, TokenBalance
from engine.localnet.rpc.encoding import base58, decimals_in, ui_amount
from engine.localnet.rpc.parameters import (
    VERSION_UNSUPPORTED,
    Call,
    RpcError,
    commitment,
    invalid,
    signature,
)
from engine.localnet.state.addresses import TOKEN
from engine.localnet.state.transaction import VERSIONS

U8_MAX = 255


def get_transaction(call: Call) -> Any:
    """A landed transaction; null for an unknown one, or one not yet at the commitment."""
    signature_ = signature(call.text(0))
    config = call.params[1] if len(call.params) > 1 else None
    config = {"encoding": config} if isinstance(config, str) else call.config(1)
    level = commitment(config)
    if level == "processed":
        raise invalid("Method does not support commitment below `confirmed`")
    landed = call.node.landed(signature_, history=True)
    if landed is None or landed.height > call.node.bank.blocks.height(level):
        return None
    if not landed.details.raw:
        return None  # too long ago: only its row in the ledger is kept
    signed = VersionedTransaction.from_bytes(landed.details.raw)
    version, most = VERSIONS[type(signed.message)], _version_max(config)
    if version is not None and (most is None or version > most):
        raise RpcError(
            VERSION_UNSUPPORTED,
            f"Transaction version ({version}) is not supported by the requesting client. Please "
            "try the request again with the following configuration parameter: "
            f'"maxSupportedTransactionVersion": {version}',
        )
    shown = {
        "slot": landed.slot,
        "blockTime": landed.time_s,
        "meta": _meta(call, landed),
        "transaction": _encoded(signed, landed.details.raw, config.get("encoding") or "json"),
    }
    if most is None:
        return shown
    return shown | {"version": "legacy" if version is None else version}


def _version_max(config: dict[str, Any]) -> int | None:
    """The newest version that the caller accepts; None: legacy only. Raises RpcError."""
    most = config.get("maxSupportedTransactionVersion")
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= U8_MAX:
        raise invalid("Invalid params: maxSupportedTransactionVersion: expected u8.")
    return most


def _encoded(signed: VersionedTransaction, raw: bytes, encoding: str) -> Any:
    if encoding == "base64":
        return [base64.b64encode(raw).decode(), "base64"]
    if encoding == "base58":
        return [base58(raw), "base58"]
    message = signed.message
    header = message.header
    shown: dict[str, Any] = {
        "accountKeys": [str(key) for key in message.account_keys],
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            {
                "programIdIndex": each.program_id_index,
                "accounts": list(each.accounts),
                "data": base58(each.data),
                "stackHeight": 1,
            }
            for each in message.instructions
        ],
    }
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = []
    if isinstance(message, MessageV1):
        config = message.config
        shown["transactionConfig"] = {
            "priorityFee": config.priority_fee,
            "computeUnitLimit": config.compute_unit_limit,
            "loadedAccountsDataSizeLimit": config.loaded_accounts_data_size_limit,
            "heapSize": config.heap_size,
        }
    return {"signatures": [str(each) for each in signed.signatures], "message": shown}


def _meta(call: Call, landed: Landed) -> dict[str, Any]:
    details = landed.details
    return {
        "err": landed.err,
        "status": {"Ok": None} if landed.err is None else {"Err": landed.err},
        "fee": landed.fee,
        "preBalances": details.before,
        "postBalances": details.after,
        "preTokenBalances": _tokens(call, details.tokens_before),
        "postTokenBalances": _tokens(call, details.tokens_after),
        "innerInstructions": [],
        "logMessages": details.logs,
        "rewards": [],
        "loadedAddresses": {"writable": [], "readonly": []},
        "computeUnitsConsumed": landed.units,
    }


def _tokens(call: Call, balances: Iterable[TokenBalance]) -> list[dict[str, Any]]:
    mints = call.node.bank.state.accounts.get
    return [
        {
            "accountIndex": each.index,
            "mint": each.mint,
            "owner": each.owner,
            "programId": account.owner if (account := mints(each.mint)) is not None else TOKEN,
            "uiTokenAmount": ui_amount(each.amount, decimals_in(mints, each.mint)),
        }
        for each in balances
    ]


METHODS = {"getTransaction": get_transaction}
