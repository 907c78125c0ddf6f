"""The reasons why an order fails, is retried, waits again or is in doubt: a table of stable codes.

Pure. Every reason that the engine emits is a `ReasonCode`, which the type checker proves. Every
code has a row, which is asserted at import. The public schemas and
docs/reference/failure-reasons.md are made from this table. It is one file in spite of its length,
because it is one table.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from events.reason_codes import ReasonCode

Retry = Literal["now", "later", "changed", "no"]
"""Whether the client may submit the order again: now, later (once the cause has passed), changed
(with other terms), or no."""


class Reason(NamedTuple):
    """The meaning of a code."""

    sentence: str
    action: str
    """What the reader should do."""
    retry: Retry


REASONS: dict[ReasonCode, Reason] = {
    # Time and operators
    "expired": Reason(
        "The order expired after its transaction was proved dead.",
        "Submit a new order with a later `expiresAt`.",
        "changed",
    ),
    "expires-at-passed": Reason(
        "`expiresAt` passed before a transaction was sent.",
        "Submit a new order with a later `expiresAt`.",
        "changed",
    ),
    "halted": Reason(
        "An operator halted the engine, and the order's time in force is IOC or FOK.",
        "Wait for `engine resume`.",
        "later",
    ),
    "suspended": Reason(
        "Sends are suspended, and the order's time in force is IOC or FOK.",
        "See `/readyz`.",
        "later",
    ),
    "discarded": Reason(
        "An operator failed the parked order; `detail` has the reason.", "Ask the operator.", "no"
    ),
    "outcome-unknown": Reason(
        "No node reports the outcome. An operator closed the order when nothing of it could land.",
        "Check the wallet before you submit the order again.",
        "no",
    ),
    "transaction-expired": Reason(
        "The transaction was proved dead: the chain passed its last valid height without it.",
        "Submit the order again; a higher priority fee may help.",
        "now",
    ),
    # The market
    "no-route": Reason(
        "No route of pools connects the two tokens.",
        "Add a pool to `POOLS`, or trade another pair.",
        "later",
    ),
    "insufficient-liquidity": Reason(
        "The pools hold too little for this amount.", "Trade a smaller amount.", "changed"
    ),
    "price-impact-too-high": Reason(
        "The price impact is above `MAX_PRICE_IMPACT_BPS`.", "Trade a smaller amount.", "changed"
    ),
    "price-limit": Reason(
        "The swap would move the price beyond what the program allows.",
        "Trade a smaller amount.",
        "changed",
    ),
    "price-out-of-range": Reason(
        "The pool's price is outside the range that the program trades in.",
        "Wait, or trade another pair.",
        "later",
    ),
    "quote-below-minimum": Reason(
        "The best quote was below `minAmountOut`.", "Lower `minAmountOut`, or wait.", "changed"
    ),
    "quote-below-target": Reason(
        "The best quote was below the order's target.", "Nothing: the order waits again.", "no"
    ),
    "quote-above-maximum": Reason(
        "The best quote was above `maxAmountIn`.", "Raise `maxAmountIn`, or wait.", "changed"
    ),
    "slippage-exceeded": Reason(
        "The price moved beyond the order's bound before the swap; the chain reverted it.",
        "Submit the order again, or raise `slippageBps`.",
        "now",
    ),
    "amount-too-small": Reason(
        "The output rounds down to nothing.", "Trade a larger amount.", "changed"
    ),
    "amount-too-large": Reason(
        "The amount is larger than a pool or a u64 holds.", "Trade a smaller amount.", "changed"
    ),
    "exact-output-unreachable": Reason(
        "The pool cannot give exactly this output.",
        "Request another output, or fix the input instead.",
        "changed",
    ),
    "calculation-overflow": Reason(
        "The pool's program overflows at this amount.", "Trade a smaller amount.", "changed"
    ),
    "no-minimum": Reason(
        "The route has no minimum output, and such a swap is never signed.",
        "Report it: this is a bug.",
        "no",
    ),
    "undetermined": Reason(
        "The pool's program fails without giving a reason.",
        "Trade another amount, or use another pool.",
        "changed",
    ),
    # Pools
    "pool-not-found": Reason(
        "There is no account at the pool's address.", "Correct `POOLS`.", "no"
    ),
    "pool-not-open": Reason("The pool takes no swaps yet.", "Wait until it opens.", "later"),
    "pool-disabled": Reason("The pool is disabled.", "Use another pool.", "later"),
    "pool-refused": Reason(
        "The pool's program would refuse the swap.",
        "Trade another amount, or use another pool.",
        "changed",
    ),
    "pool-arithmetic": Reason(
        "The pool's numbers contradict each other.", "Use another pool.", "no"
    ),
    "pool-unreadable": Reason(
        "The pool's account cannot be read by this build.", "Use another pool.", "no"
    ),
    "pool-of-no-known-program": Reason(
        "The pool belongs to an unknown program.", "Correct `POOLS`.", "no"
    ),
    "pool-of-other-tokens": Reason(
        "The pool trades other tokens than `POOLS` says.", "Correct `POOLS`.", "no"
    ),
    "pool-not-read": Reason(
        "The pool's accounts have not been read yet.",
        "Nothing: the engine reads them continuously.",
        "later",
    ),
    "pool-data-stale": Reason(
        "The pool's accounts were not read recently enough.",
        "Check the nodes of `SOLANA_RPC_URL`.",
        "later",
    ),
    "pool-exceeds-node-limit": Reason(
        "The pool has more accounts than a node returns in one call.",
        "Use a node with a higher limit.",
        "later",
    ),
    "pool-layout": Reason(
        "The pool has a layout that this build does not know.", "Use another pool.", "no"
    ),
    "unsupported-pool": Reason(
        "The program does not support this pool.", "Use another pool.", "no"
    ),
    "rate-limiter": Reason(
        "The pool has a rate limiter that is not supported.", "Use another pool.", "no"
    ),
    "zero-fee-pool": Reason(
        "The pool has no fee, and its program would divide by zero.", "Use another pool.", "no"
    ),
    "creator-fee-mode": Reason(
        "The pool's creator fee has an unknown mode.", "Use another pool.", "no"
    ),
    "base-fee-mode": Reason("The pool's base fee has an unknown mode.", "Use another pool.", "no"),
    "limit-order-invalid": Reason(
        "A limit order in the pool is not valid.", "Use another pool.", "no"
    ),
    "tick-arrays-missing": Reason(
        "The pool's tick arrays near the price do not exist.", "Trade a smaller amount.", "changed"
    ),
    "bin-arrays-missing": Reason(
        "The pool's bin arrays near the price do not exist.", "Trade a smaller amount.", "changed"
    ),
    "too-many-ticks": Reason(
        "The swap crosses more ticks than one transaction can.",
        "Trade a smaller amount.",
        "changed",
    ),
    "too-many-bins": Reason(
        "The swap crosses more bins than one transaction can.", "Trade a smaller amount.", "changed"
    ),
    "unknown-pair-type": Reason(
        "The pool has a type that this build does not know.", "Use another pool.", "no"
    ),
    "unknown-pair-status": Reason(
        "The pool has a status that this build does not know.", "Use another pool.", "no"
    ),
    "unknown-activation-type": Reason(
        "The pool has an activation that this build does not know.", "Use another pool.", "no"
    ),
    "unknown-function-type": Reason(
        "The pool has a function that this build does not know.", "Use another pool.", "no"
    ),
    "unknown-collect-fee-mode": Reason(
        "The pool has a fee mode that this build does not know.", "Use another pool.", "no"
    ),
    "unknown-token-program": Reason(
        "The pool has a token program that this build does not know.", "Use another pool.", "no"
    ),
    "collect-fee-mode": Reason(
        "The pool has a fee mode that this build does not know.", "Use another pool.", "no"
    ),
    "fee-version": Reason(
        "The pool has a fee version that this build does not know.", "Use another pool.", "no"
    ),
    "activation-type": Reason(
        "The pool has an activation that this build does not know.", "Use another pool.", "no"
    ),
    "token-program": Reason(
        "The pool has a token program that this build does not know.", "Use another pool.", "no"
    ),
    # Tokens
    "no-such-mint": Reason("There is no account at the token's address.", "Correct `POOLS`.", "no"),
    "mint-unreadable": Reason("The token's mint cannot be read.", "Trade another token.", "no"),
    "unsupported-mint": Reason(
        "The token has a property that is not supported.", "Trade another token.", "no"
    ),
    "unknown-mint-extension": Reason(
        "The token has an extension that this build does not know.", "Trade another token.", "no"
    ),
    "transfer-fee-mint": Reason(
        "Transfers of the token pay a fee, which the pool's family does not support.",
        "Use another pool.",
        "no",
    ),
    "transfer-hook-mint": Reason(
        "Transfers of the token run a program.", "Trade another token.", "no"
    ),
    "non-transferable-mint": Reason(
        "The token cannot be transferred.", "Trade another token.", "no"
    ),
    "token-paused": Reason(
        "The token is paused by its issuer.", "Wait until the issuer resumes it.", "later"
    ),
    "token-program-mismatch": Reason(
        "The token program is not the one in `POOLS`.", "Correct `POOLS`.", "no"
    ),
    "token-decimals-mismatch": Reason(
        "The token's decimals are not those in `POOLS`.", "Correct `POOLS`.", "no"
    ),
    # The wallet
    "insufficient-funds": Reason(
        "The wallet holds too little for the swap, its fees or its rent.",
        "Fund the wallet.",
        "later",
    ),
    "wallet-cannot-pay-fees": Reason(
        "The wallet's account cannot pay fees.", "Use a wallet of the system program.", "no"
    ),
    "token-account-unusable": Reason(
        "The wallet's token account cannot be used.", "Check the account.", "no"
    ),
    "token-account-frozen": Reason(
        "The wallet's token account is frozen by the issuer.", "Ask the token's issuer.", "no"
    ),
    "token-account-missing": Reason(
        "A token account of the swap does not exist.", "Check the wallet's accounts.", "no"
    ),
    "temporary-account-taken": Reason(
        "The temporary account of the swap already exists.", "Submit the order again.", "now"
    ),
    "account-not-rent-exempt": Reason(
        "An account was opened with too little for its rent.", "Submit the order again.", "now"
    ),
    "rent-changed": Reason(
        "The cluster's rent changed while the transaction was built.",
        "Submit the order again.",
        "now",
    ),
    # The transaction
    "transaction-too-large": Reason(
        "The swap does not fit into one transaction.",
        "Trade a smaller amount, or a pair with a direct pool.",
        "changed",
    ),
    "transaction-malformed": Reason(
        "The chain rejects the format of the transaction.", "Report it: this is a bug.", "no"
    ),
    "transaction-failed": Reason(
        "The transaction failed for an unknown reason; `detail` has the error of the chain.",
        "Report it.",
        "no",
    ),
    "transaction-version-refused": Reason(
        "The nodes refuse the transaction's version.",
        "Set `TX_VERSION=0`, or use other nodes.",
        "later",
    ),
    "compute-budget-exceeded": Reason(
        "The transaction ran out of compute units.",
        "Submit the order again, or a smaller amount.",
        "now",
    ),
    "program-panicked": Reason("A program panicked.", "Submit the order again.", "now"),
    "program-not-found": Reason(
        "A program of the swap does not exist on this cluster.",
        "Check the cluster of `SOLANA_RPC_URL`.",
        "no",
    ),
    "instruction-refused": Reason("A program rejected an instruction.", "Report it.", "no"),
    "invalid-instruction": Reason(
        "A pool's program rejected the format of its instruction.",
        "Report it: this is a bug.",
        "no",
    ),
    "invalid-accounts": Reason(
        "A pool's program rejected the accounts of the swap.",
        "Submit the order again; report it if it recurs.",
        "now",
    ),
    "already-processed": Reason(
        "The chain has already processed the transaction.",
        "Nothing: the engine reads its outcome.",
        "no",
    ),
    "blockhash-not-found": Reason(
        "The node does not know the transaction's blockhash.", "Submit the order again.", "now"
    ),
    "chain-busy": Reason(
        "The chain was too busy to accept the transaction.", "Submit the order again.", "now"
    ),
    # Nodes and venues
    "venue-timeout": Reason(
        "The venue did not answer in time.", "Submit the order again.", "later"
    ),
    "venue-unavailable": Reason(
        "The venue or its nodes do not answer.", "Check the nodes of `SOLANA_RPC_URL`.", "later"
    ),
    "quotes-stale": Reason(
        "No pool was read recently enough to be quoted from.",
        "Check the nodes of `SOLANA_RPC_URL`.",
        "later",
    ),
    "node-refused": Reason(
        "The node refuses the request; `detail` has its error.", "Read `detail`.", "no"
    ),
    "node-behind": Reason("The node is behind the chain.", "Use another node.", "later"),
    "node-not-answering": Reason(
        "The node does not answer.", "Check the nodes of `SOLANA_RPC_URL`.", "later"
    ),
    "method-not-served": Reason(
        "No node of `SOLANA_RPC_URL` serves a method that is needed.",
        "Add a node that does: `engine doctor` names the method.",
        "later",
    ),
    "call-too-large": Reason(
        "Every node refuses a call of this size.", "Use a node with a higher limit.", "later"
    ),
    "wrong-cluster": Reason(
        "The nodes belong to another cluster.", "Correct `SOLANA_RPC_URL` or `POOLS`.", "no"
    ),
    "mainnet-not-allowed": Reason(
        "The nodes belong to mainnet, which the settings do not allow.",
        "Set `ALLOW_MAINNET=1` to trade with real money.",
        "no",
    ),
    # Unknown outcomes
    "no-answer": Reason(
        "No node answered the request for the outcome.",
        "Nothing: the engine asks again.",
        "no",
    ),
    "not-a-signature": Reason(
        "The order's transaction has no signature of this chain.",
        "Close it with `engine doubts close`.",
        "no",
    ),
    "chain-stalled": Reason(
        "The chain makes no progress.", "Nothing: the engine asks again.", "no"
    ),
    "too-few-witnesses": Reason(
        "Too few nodes agree for a proof; `detail` names what is missing.",
        "Add nodes to `SOLANA_RPC_URL`.",
        "no",
    ),
    "history-too-short": Reason(
        "The nodes' history begins too late for a proof; `detail` has the slot.",
        "Add a node with a longer history.",
        "no",
    ),
    "details-not-available": Reason(
        "The transaction landed, and no node shows its details.",
        "Add a node with a longer history.",
        "no",
    ),
    "details-unclear": Reason(
        "The transaction landed, and its details cannot be read.", "Report it.", "no"
    ),
    "ledger-unavailable": Reason(
        "The simulated chain's ledger cannot be read.", "Check the file in `DATA_DIR`.", "no"
    ),
    # Settling by the chain's record
    "another-transaction-known": Reason(
        "Another transaction of the order is known.", "Name that transaction.", "no"
    ),
    "signature-needed": Reason(
        "The order does not name its transaction, or names several.",
        "Name the transaction with `signature`.",
        "no",
    ),
    "executed-more-than-once": Reason(
        "The order was executed more than once.", "Name the transaction that counts.", "no"
    ),
    "archive-behind": Reason(
        "The archive does not have all events yet.", "Try again in a moment.", "later"
    ),
    "malformed-signature": Reason(
        "The signature has the wrong format.", "Correct the signature.", "no"
    ),
    "amounts-unclear": Reason("The amounts of the transaction cannot be read.", "Report it.", "no"),
    "transaction-not-found": Reason(
        "No node has the transaction.", "Use a node with a longer history.", "later"
    ),
    "transaction-not-finalized": Reason(
        "The transaction is not final yet.", "Try again in a moment.", "later"
    ),
    "transaction-unreadable": Reason(
        "The transaction of the record cannot be read.", "Report it.", "no"
    ),
    "transaction-of-another-order": Reason(
        "The transaction belongs to another order.", "Name another transaction.", "no"
    ),
    "transaction-of-another-wallet": Reason(
        "The transaction belongs to another wallet.",
        "Name another transaction, or set the wallet's key.",
        "no",
    ),
    "transaction-does-not-fit": Reason(
        "The amounts or tokens of the transaction do not match the order.",
        "Name another transaction.",
        "no",
    ),
    "history-repeated": Reason(
        "The node repeats parts of the wallet's history.", "Use another node.", "later"
    ),
    # Emitted by earlier builds only
    "limit-order-pool": Reason(
        "The pool has limit orders, which earlier builds did not quote.",
        "Nothing: this build does not emit it.",
        "no",
    ),
    "dynamic-fee-pool": Reason(
        "The pool has a dynamic fee, which earlier builds did not quote.",
        "Nothing: this build does not emit it.",
        "no",
    ),
    "fee-on-output-pool": Reason(
        "The pool takes its fee from the output, which earlier builds did not quote.",
        "Nothing: this build does not emit it.",
        "no",
    ),
}

assert REASONS.keys() == set(get_args(ReasonCode)), "every code has a row"


def failure(reason: str, detail: str) -> tuple[str, str]:
    """Returns the code and the detail of a recorded failure.

    Earlier builds recorded an operator's words as the code of a discarded order: they become the
    detail.
    """
    return (reason, detail) if reason in REASONS else ("discarded", detail or reason)
