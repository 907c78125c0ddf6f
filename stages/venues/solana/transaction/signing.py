"""One signed transaction out of explicit legs. Pure: no clock, no network.

    memo · token accounts · wrap · swaps · unwrap; what it may compute: `versions`

Native SOL is wrapped into an account of its own, made, used and closed by this one transaction.
So it holds this swap's lamports and no others: what the user keeps as wSOL is never touched, what
an exact-out swap leaves over comes back with the rent, and nothing of it outlives a failure.
Where that is too large, the wallet's associated account serves (111 bytes less). It is closed only
where the wallet had none: closing it would unwrap what the user keeps there. Where the wallet has
one, it serves for SOL in the middle of a route alone, which leaves there what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import NamedTuple

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from stages.pools.contract import Family, Pool, SwapAccounts, SwapTerms
from stages.venues import VenueRefusal
from stages.venues.solana.transaction.keypair import Wallet
from stages.venues.solana.transaction.programs import MEMO, WSOL, associated_account, key
from stages.venues.solana.transaction.versions import V0, VERSIONS, Budget, Message
from stages.venues.solana.transaction.wrapping import (
    TOKEN_ACCOUNT_BYTES,
    create_account,
    rent_at_most,
    temporary_account,
    unwrap,
    wrap_associated,
    wrap_temporary,
)

CU_AROUND = 60_000
"""Compute units of all besides the swaps, at most: memo, two token accounts, wrap, unwrap."""


class Leg(NamedTuple):
    """One swap of the transaction."""

    family: Family
    pool: Pool
    a_to_b: bool
    terms: SwapTerms

    @property
    def mint_in(self) -> str:
        """The mint that the swap pays."""
        return self.pool.mint_a if self.a_to_b else self.pool.mint_b

    @property
    def mint_out(self) -> str:
        """The mint that the swap receives."""
        return self.pool.mint_b if self.a_to_b else self.pool.mint_a

    @property
    def amount_in_most(self) -> int:
        """The most that the swap takes."""
        return self.terms.threshold if self.terms.exact_out else self.terms.amount


class Wrapping(Enum):
    """Which account holds wrapped SOL while the transaction runs."""

    TEMPORARY = "temporary"
    """An account of this transaction alone, created and closed by it."""
    ASSOCIATED = "associated"
    """The wallet's associated account, which does not exist yet: created and closed."""
    KEPT = "kept"
    """The wallet's associated account, which exists and stays: for SOL in the middle only."""


class Plan(NamedTuple):
    """A swap to be built into a transaction."""

    owner: Pubkey
    legs: Sequence[Leg]
    programs: Mapping[str, str]
    """The token program of each mint."""
    memo: str
    wrapping: Wrapping = Wrapping.TEMPORARY
    rent: int = rent_at_most(TOKEN_ACCOUNT_BYTES)
    """Lamports that a temporary account is created with, beside what is wrapped."""


class Draft(NamedTuple):
    """All instructions of a transaction but those of its budget."""

    plan: Plan
    instructions: tuple[Instruction, ...]
    created: Mapping[str, int]
    """Data lengths of the accounts that exist while it runs and at no other time."""


def memo_of(order_id: str, attempt: int) -> str:
    """The order id; a replacement adds its number, so that it has a signature of its own."""
    return order_id if attempt <= 1 else f"{order_id}/{attempt}"


def order_id_of(memo: str) -> str:
    """The order id in a memo."""
    return memo.partition("/")[0]


def drafted(plan: Plan) -> Draft:
    """The instructions of the plan: made once, for the message that is simulated and for the one
    signed.
    """
    wraps = any(WSOL in (leg.mint_in, leg.mint_out) for leg in plan.legs)
    created = {}
    if wraps and plan.wrapping is not Wrapping.KEPT:
        created[str(_account(plan, WSOL))] = TOKEN_ACCOUNT_BYTES
    memo = Instruction(key(MEMO), plan.memo.encode(), [])
    return Draft(plan, (memo, *_inside(plan)), created)


def message(draft: Draft, budget: Budget, blockhash: str, version: int = V0) -> Message:
    """The message to sign. Raises VenueRefusal `transaction-too-large`, retryable: another route
    may fit.
    """
    limits = VERSIONS[version]
    try:
        compiled = limits.compiled(
            draft.plan.owner, draft.instructions, budget, Hash.from_string(blockhash)
        )
    except Exception as error:  # solders' CompileError is an Exception: more than 256 accounts
        raise VenueRefusal("transaction-too-large", str(error), retryable=True) from error
    addresses, size = len(compiled.account_keys), len(unsigned(compiled))
    if addresses > limits.addresses_max:
        detail = f"{addresses} addresses, at most {limits.addresses_max}"
        raise VenueRefusal("transaction-too-large", detail, retryable=True)
    if size > limits.bytes_max:
        detail = f"{size} bytes, at most {limits.bytes_max}"
        raise VenueRefusal("transaction-too-large", detail, retryable=True)
    return compiled


def unsigned(message: Message) -> bytes:
    """The transaction with an empty signature: for a simulation; no node accepts it for sending."""
    return bytes(VersionedTransaction.populate(message, [Signature.default()]))


def signed(message: Message, wallet: Wallet) -> tuple[str, bytes]:
    """(signature, raw bytes)."""
    signature = wallet.sign(message)
    return str(signature), bytes(VersionedTransaction.populate(message, [signature]))


def cu_needed(legs: Iterable[Leg]) -> int:
    """Compute units that plain swaps take at most, with all that is around them."""
    return CU_AROUND + sum(leg.family.cu_limit for leg in legs)


def brought(legs: Iterable[Leg]) -> dict[str, int]:
    """The most that the wallet has to bring, in base units by mint: nothing of a token that an
    earlier swap pays out. Native SOL is under the mint of wrapped SOL.
    """
    amounts: dict[str, int] = {}
    earlier: set[str] = set()
    for leg in legs:
        if leg.mint_in not in earlier:
            amounts[leg.mint_in] = amounts.get(leg.mint_in, 0) + leg.amount_in_most
        earlier.add(leg.mint_out)
    return amounts


def wrappings(legs: Sequence[Leg], has_account: bool | None) -> tuple[Wrapping, ...]:
    """The forms that these swaps may take, the preferred one first. `has_account`: whether the
    wallet has an associated account of wrapped SOL; None: not known.

    SOL in the middle needs none of the wallet's, and either associated form fits where the larger
    one of them fits: which of them it becomes is decided when the transaction is built.
    """
    if not any(WSOL in (leg.mint_in, leg.mint_out) for leg in legs):
        return (Wrapping.TEMPORARY,)
    if has_account is False or (has_account is None and sol_is_inside(legs)):
        return (Wrapping.TEMPORARY, Wrapping.ASSOCIATED)
    if has_account and sol_is_inside(legs):
        return (Wrapping.TEMPORARY, Wrapping.KEPT)
    return (Wrapping.TEMPORARY,)


def sol_is_inside(legs: Sequence[Leg]) -> bool:
    """Whether SOL is neither the input of the first swap nor the output of the last."""
    mints_in, mints_out = {leg.mint_in for leg in legs}, {leg.mint_out for leg in legs}
    return WSOL in mints_in & mints_out


def _inside(plan: Plan) -> list[Instruction]:
    """Token accounts, wrap, swaps, unwrap."""
    mints_out = dict.fromkeys(leg.mint_out for leg in plan.legs)
    mints = mints_out | dict.fromkeys(leg.mint_in for leg in plan.legs)
    accounts = {mint: _account(plan, mint) for mint in mints}
    sol = accounts.get(WSOL)
    return [
        *(
            create_account(plan.owner, accounts[mint], mint, plan.programs[mint])
            for mint in mints_out
            if mint != WSOL
        ),
        *(_wrap(plan, sol) if sol is not None else ()),
        *(_swap(plan.owner, leg, accounts) for leg in plan.legs),
        *(_unwrap(plan, sol) if sol is not None else ()),
    ]


def _account(plan: Plan, mint: str) -> Pubkey:
    """The account that the swaps use for this token."""
    if mint == WSOL and plan.wrapping is Wrapping.TEMPORARY:
        return temporary_account(plan.owner, _seed(plan))
    return associated_account(plan.owner, mint, plan.programs[mint])


def _wrap(plan: Plan, account: Pubkey) -> list[Instruction]:
    lamports = brought(plan.legs).get(WSOL, 0)
    if plan.wrapping is Wrapping.TEMPORARY:
        return wrap_temporary(plan.owner, _seed(plan), lamports, plan.rent)
    return wrap_associated(plan.owner, account, lamports)


def _unwrap(plan: Plan, account: Pubkey) -> list[Instruction]:
    return [] if plan.wrapping is Wrapping.KEPT else [unwrap(plan.owner, account)]


def _seed(plan: Plan) -> str:
    """A seed that cannot be known before the transaction is out: an account that holds a lamport
    already could not be created.
    """
    return sha256(plan.memo.encode()).hexdigest()[:8]


def _swap(owner: Pubkey, leg: Leg, accounts: Mapping[str, Pubkey]) -> Instruction:
    use = SwapAccounts(str(owner), str(accounts[leg.mint_in]), str(accounts[leg.mint_out]))
    instruction = leg.family.instruction(leg.pool, leg.a_to_b, leg.terms, use)
    return Instruction(
        key(instruction.program),
        instruction.data,
        [AccountMeta(key(a.address), a.signer, a.writable) for a in instruction.accounts],
    )
