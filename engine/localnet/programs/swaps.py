"""The five swap programs: each parses its instruction and swaps by the arithmetic of its family.

The checks are those of the real programs: the accounts in their places, writable where they are
written, the signer, mints, balances, the arrays that the swap crosses, the threshold.
"""

from __future__ import annotations

from itertools import takewhile

from engine.localnet.programs import token
from engine.localnet.programs.context import Context, Swapped
from engine.localnet.programs.shapes import SHAPES, Shape
from engine.localnet.state.accounts import Account, amount_of
from engine.localnet.state.addresses import raw
from engine.localnet.state.failures import InstructionFailed
from engine.localnet.state.pools import Pooled
from engine.localnet.state.transaction import Step
from engine.localnet.state.view import View
from stages.pools.contract import (
    AccountUse,
    Clock,
    Family,
    Instruction,
    Parsed,
    Pool,
    RawAccount,
    Rejected,
    Swap,
    SwapTerms,
    Unsupported,
)
from stages.pools.meteora.dlmm.pool import DlmmPool
from stages.pools.mints import PAUSED as TOKEN_PAUSED
from stages.pools.transfer_fees import without_fees

# Anchor's own errors.
NO_SUCH_INSTRUCTION, NOT_MUTABLE, WRONG_ADDRESS = 101, 2000, 2012
WRONG_MINT, WRONG_OWNER, TOO_FEW_ACCOUNTS, WRONG_ACCOUNT, NOT_SIGNER = 2014, 2015, 3005, 3002, 3010


def run(context: Context, step: Step, family: Family) -> None:
    """Executes one swap instruction. Raises InstructionFailed."""
    shape = SHAPES[family.name]
    instruction = _instruction(context, step)
    parsed = family.parse(instruction)
    if parsed is None:
        raise InstructionFailed(
            NO_SUCH_INSTRUCTION if shape.anchor else "InvalidInstructionData",
            "Error: InstructionFallbackNotFound",
        )
    pooled = _pooled(context, parsed.pool)
    if pooled is None or pooled.family is not family:
        raise InstructionFailed(WRONG_ACCOUNT, "Error: AccountDiscriminatorMismatch")
    a_to_b = _way(context.view, pooled.pool, parsed)
    needed = _check_accounts(family, pooled.pool, a_to_b, parsed, instruction, shape)
    seen = _seen(context.view, instruction, shape)
    if not needed <= set(seen):
        _check_seen_arrays(context, parsed, a_to_b, seen, family)
    swap = _swap(context, pooled, parsed, a_to_b)
    context.spend(shape.units + shape.units_step * _steps(pooled.pool, swap))
    _check_terms(context, pooled, a_to_b, parsed, swap)
    _settle(context, shape, parsed, a_to_b, swap)
    moved = Pooled(family, swap.after, pooled.reads)
    context.view.move(moved)
    mints = (pooled.pool.mint_a, pooled.pool.mint_b)
    mint_in, mint_out = mints if a_to_b else (mints[1], mints[0])
    context.swaps.append(Swapped(parsed.pool, mint_in, mint_out, swap.amount_in, swap.amount_out))


def _pooled(context: Context, address: str) -> Pooled | None:
    """The pool. Raises InstructionFailed as its transfers would where a token is paused."""
    try:
        return context.view.pool(address)
    except Unsupported as error:
        if error.reason == TOKEN_PAUSED:
            raise InstructionFailed(token.PAUSED, "Error: token is paused") from None
        raise


def _instruction(context: Context, step: Step) -> Instruction:
    keys, writable, signatures = context.tx.keys, context.tx.writable, context.tx.signatures
    uses = tuple([AccountUse(keys[at], at < signatures, writable[at]) for at in step.accounts])
    return Instruction(step.program, uses, step.data)


def _way(view: View, pool: Pool, parsed: Parsed) -> bool:
    source, target = view.get(parsed.accounts.token_in), view.get(parsed.accounts.token_out)
    if source is None or target is None:
        raise InstructionFailed(3012, "Error: AccountNotInitialized")
    a, b = raw(pool.mint_a), raw(pool.mint_b)
    ways = {(a, b): True, (b, a): False}
    way = ways.get((source.data[:32], target.data[:32]))
    if way is None:
        raise InstructionFailed(WRONG_MINT, "Error: ConstraintTokenMint")
    return way


def _check_accounts(
    family: Family, pool: Pool, a_to_b: bool, parsed: Parsed, given: Instruction, shape: Shape
) -> frozenset[str]:
    """Compares with the expected instruction; returns the arrays that the swap needs."""
    expected = family.instruction(pool, a_to_b, parsed.terms, parsed.accounts).accounts
    fixed = expected[: shape.fixed]
    if len(given.accounts) < len(fixed):
        code: int | str = TOO_FEW_ACCOUNTS if shape.anchor else "NotEnoughAccountKeys"
        raise InstructionFailed(code)
    for use, actual in zip(fixed, given.accounts, strict=False):
        if use.address != actual.address:
            raise InstructionFailed(
                WRONG_ADDRESS if shape.anchor else "InvalidArgument",
                f"Error: ConstraintAddress: {actual.address} should be {use.address}",
            )
        if use.signer and not actual.signer:
            raise InstructionFailed(NOT_SIGNER if shape.anchor else "MissingRequiredSignature")
        if use.writable and not actual.writable:
            raise InstructionFailed(NOT_MUTABLE if shape.anchor else "ReadonlyDataModified")
    writable = {use.address for use in given.accounts if use.writable}
    named = {use.address for use in given.accounts}
    for use in expected[shape.fixed :]:
        if use.writable and use.address in named - writable:
            raise InstructionFailed(NOT_MUTABLE, f"Error: ConstraintMut: {use.address}")
    return frozenset([use.address for use in expected[shape.fixed :]])


def _seen(view: View, given: Instruction, shape: Shape) -> list[str]:
    """The accounts that the program reads: up to the first array that does not exist."""
    addresses = [use.address for use in given.accounts]
    arrays = takewhile(lambda each: view.get(each) is not None, addresses[shape.fixed :])
    return [*addresses[: shape.fixed], *arrays]


def _quote(pool: Pool, terms: SwapTerms, a_to_b: bool, clock: Clock) -> Swap:
    return (pool.exact_out if terms.exact_out else pool.exact_in)(terms.amount, a_to_b, clock)


def _swap(context: Context, pooled: Pooled, parsed: Parsed, a_to_b: bool) -> Swap:
    try:
        return _quote(pooled.pool, parsed.terms, a_to_b, context.clock)
    except Rejected as error:
        # The price may have moved past the arrays that the pool was decoded from.
        again = None
        if not context.view.fresh(parsed.pool):
            again = context.view.reread(parsed.pool)
        if again is None:
            raise _refused(pooled.family, error) from None
    try:
        return _quote(again.pool, parsed.terms, a_to_b, context.clock)
    except Rejected as error:
        raise _refused(pooled.family, error) from None


def _check_seen_arrays(
    context: Context, parsed: Parsed, a_to_b: bool, seen: list[str], family: Family
) -> None:
    """Raises InstructionFailed unless the swap succeeds with the accounts that are given."""
    context.view.reread(parsed.pool)
    accounts: dict[str, RawAccount] = {}
    for address in seen:
        account = context.view.get(address)
        if account is not None:
            accounts[address] = RawAccount(account.owner, account.data)
    try:
        _quote(family.decode(parsed.pool, accounts), parsed.terms, a_to_b, context.clock)
    except Rejected as error:
        raise _refused(family, error) from None
    except (Unsupported, ValueError):
        raise InstructionFailed(TOO_FEW_ACCOUNTS, "Error: AccountNotEnoughKeys") from None


def _refused(family: Family, error: Rejected) -> InstructionFailed:
    return _failure(family, error.error)


def _failure(family: Family, name: str) -> InstructionFailed:
    known = family.errors.get(name)
    if known is None or known.code < 0:
        return InstructionFailed("ProgramFailedToComplete", message="SBF program panicked")
    return InstructionFailed(known.code, f"Error: {name.removeprefix('Error: ')}")


def _check_terms(
    context: Context, pooled: Pooled, a_to_b: bool, parsed: Parsed, swap: Swap
) -> None:
    terms, family, shape = parsed.terms, pooled.family, SHAPES[pooled.family.name]
    if shape.takes_first:
        source = context.view.get(parsed.accounts.token_in)
        if amount_of(source) < swap.amount_in:
            raise InstructionFailed(
                shape.funds_code or token.INSUFFICIENT_FUNDS, "Error: insufficient funds"
            )
    if terms.exact_out and swap.amount_in > terms.threshold:
        raise _failure(family, _too_much_in(context, pooled, a_to_b, terms))
    if not terms.exact_out and swap.amount_out < terms.threshold:
        raise _failure(family, family.too_little_out)


def _too_much_in(context: Context, pooled: Pooled, a_to_b: bool, terms: SwapTerms) -> str:
    """The error of a swap that needs too much input; the DLMM's depends on the last bin."""
    if isinstance(pooled.pool, DlmmPool):
        try:
            pooled.pool.exact_out_within(terms.amount, terms.threshold, a_to_b, context.clock)
        except Rejected as error:
            return error.error
    return pooled.family.too_much_in


def _settle(context: Context, shape: Shape, parsed: Parsed, a_to_b: bool, swap: Swap) -> None:
    source = token.held(context.view, parsed.accounts.token_in)
    if not token.may_spend(source, parsed.accounts.owner, swap.amount_in):
        raise InstructionFailed(token.OWNER_MISMATCH, "Error: owner does not match")
    use = parsed.accounts
    accounts = use.token_in, use.token_out
    settle(context.view, shape, swap, a_to_b, accounts, context.clock.epoch)


def settle(
    view: View, shape: Shape, swap: Swap, a_to_b: bool, accounts: tuple[str, str], epoch: int
) -> None:
    """Moves the tokens of a swap between two token accounts and the pool's vaults.

    `accounts`: the one that pays, and the one that is paid. Mints with a transfer fee withhold it
    in the targets.
    """
    token_in, token_out = accounts
    data = _pool_account(view, swap.after.address).data
    vault_in, vault_out = shape.vaults(data, a_to_b)
    leaving = swap.amount_out + swap.transfer_fee_out
    token.move(view, token_in, vault_in, swap.amount_in, epoch=epoch, known=True)
    token.move(view, vault_out, token_out, leaving, epoch=epoch, known=True)


def _pool_account(view: View, address: str) -> Account:
    account = view.get(address)
    assert account is not None, "a decoded pool has an account"
    return account


def _steps(before: Pool, swap: Swap) -> int:
    """The number of ticks or bins that a swap crosses, or of its other steps."""
    before, after = without_fees(before), without_fees(swap.after)
    if isinstance(before, DlmmPool) and isinstance(after, DlmmPool):
        return abs(after.active_id - before.active_id)
    return swap.steps
