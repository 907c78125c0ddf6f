"""The memo program: a text in a transaction."""

from __future__ import annotations

from engine.localnet.programs.context import Context
from engine.localnet.state.addresses import MEMO, MEMO_V1
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.transaction import Step, Transaction


def words_of(tx: Transaction) -> str:
    """The memos of a transaction that was not executed, as its history shows them."""
    memos = [step.data for step in tx.steps if step.program in (MEMO, MEMO_V1)]
    return "; ".join(data.decode(errors="replace") for data in memos)


def run(context: Context, step: Step) -> None:
    """Records the memo. Every account that is named must sign."""
    context.spend(260 + 225 * len(step.accounts) + max(27, len(step.data) - 60))
    if not all(at < context.tx.signatures for at in step.accounts):
        raise InstructionFailed("MissingRequiredSignature")
    try:
        memo = step.data.decode()
    except UnicodeDecodeError:
        raise InstructionFailed("ProgramFailedToComplete") from None
    context.memos.append(memo)
    context.logs += [f"Program log: Memo (len {len(step.data)})", f"Program log: {memo}"]
