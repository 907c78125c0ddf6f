"""The memo program: words that go with a transaction."""

from __future__ import annotations

from stages.venues.localnet.addresses import MEMO, MEMO_V1
from stages.venues.localnet.failures import InstructionFailed
from stages.venues.localnet.programs.context import Context
from stages.venues.localnet.transaction import Step, Transaction


def words_of(tx: Transaction) -> str:
    """The memos of a transaction that was not executed, as a history shows them."""
    found = [step.data for step in tx.steps if step.program in (MEMO, MEMO_V1)]
    return "; ".join(data.decode(errors="replace") for data in found)


def run(context: Context, step: Step) -> None:
    """Keep the memo. Every account that is named has to sign."""
    context.spend(260 + 225 * len(step.accounts) + max(27, len(step.data) - 60))
    if not all(at < context.tx.signatures for at in step.accounts):
        raise InstructionFailed("MissingRequiredSignature")
    try:
        memo = step.data.decode()
    except UnicodeDecodeError:
        raise InstructionFailed("ProgramFailedToComplete") from None
    context.memos.append(memo)
    context.logs += [f"Program log: Memo (len {len(step.data)})", f"Program log: {memo}"]
