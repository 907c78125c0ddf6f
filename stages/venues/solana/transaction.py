"""One signed v0 transaction out of explicit legs. Pure: no clock, no network.

    CU limit · CU price · memo · token accounts · wrap · swaps · unwrap

Native SOL is wrapped into an account of its own, made, used and closed by this one transaction.
So it holds this swap's lamports and no others: what the user keeps as wSOL is never touched, what
an exact-out swap leaves over comes back with the rent, and nothing of it outlives a failure.
Where that is too large, the wallet's associated account serves (111 bytes less): only where the
wallet has none, for closing it would unwrap what the user keeps there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from stages.venues import Refused
from stages.venues.pool import Family, Pool, SwapAccounts, SwapTerms
from stages.venues.solana.keypair import Wallet
from stages.venues.solana.programs import MEMO, WSOL, associated_account, key
from stages.venues.solana.wrapping import (
    create_account,
    temporary_account,
    unwrap,
    wrap_associated,
    wrap_temporary,
)

BYTES_MAX = 1_232
CU_MAX = 1_400_000
CU_AROUND = 60_000
"""What all beside the swaps consumes at most: memo, two token accounts, wrap, unwrap."""


class Leg(NamedTuple):
    """One swap of the transaction."""

    family: Family
    pool: Pool
    a_to_b: bool
    terms: SwapTerms

    @property
    def mint_in(self) -> str:
        """What it pays."""
        return self.pool.mint_a if self.a_to_b else self.pool.mint_b

    @property
    def mint_out(self) -> str:
        """What it is paid."""
        return self.pool.mint_b if self.a_to_b else self.pool.mint_a

    @property
    def amount_in_most(self) -> int:
        """What it takes at most."""
        return self.terms.threshold if self.terms.exact_out else self.terms.amount


class Budget(NamedTuple):
    """What the transaction may compute and what it offers for that."""

    cu_limit: int
    cu_price: int
    """Micro-lamports a unit."""


class Plan(NamedTuple):
    """A swap to be made into a transaction."""

    owner: Pubkey
    legs: Sequence[Leg]
    programs: Mapping[str, str]
    """The token program of each mint."""
    memo: str
    associated: bool = False
    """Wrap into the associated account, which the owner must not have yet."""


class Draft(NamedTuple):
    """All instructions of a transaction but those of its budget."""

    owner: Pubkey
    instructions: tuple[Instruction, ...]
    legs: Sequence[Leg]


def memo_of(order_id: str, attempt: int) -> str:
    """The order id; a replacement adds its number, so that its signature is one of its own."""
    return order_id if attempt <= 1 else f"{order_id}/{attempt}"


def order_id_of(memo: str) -> str:
    """The order id in a memo."""
    return memo.partition("/")[0]


def drafted(plan: Plan) -> Draft:
    """Its instructions: made once, for the message that is simulated and for the one signed."""
    return Draft(
        plan.owner, (Instruction(key(MEMO), plan.memo.encode(), []), *_inside(plan)), plan.legs
    )


def message(draft: Draft, budget: Budget, blockhash: str) -> MessageV0:
    """What is to be signed. Raises Refused `transaction-too-large`."""
    instructions = [
        set_compute_unit_limit(min(budget.cu_limit, CU_MAX)),
        *([set_compute_unit_price(budget.cu_price)] if budget.cu_price else []),
        *draft.instructions,
    ]
    try:
        made = MessageV0.try_compile(draft.owner, instructions, [], Hash.from_string(blockhash))
    except Exception as error:  # solders' CompileError is an Exception: more than 256 accounts
        raise Refused("transaction-too-large", str(error), retryable=True) from error
    size = len(unsigned(made))
    if size > BYTES_MAX:
        said = f"{size} bytes, at most {BYTES_MAX}"
        raise Refused("transaction-too-large", said, retryable=True)  # another route may fit
    return made


def unsigned(made: MessageV0) -> bytes:
    """The transaction with an empty signature: for a simulation, and of no use to a thief."""
    return bytes(VersionedTransaction.populate(made, [Signature.default()]))


def signed(made: MessageV0, wallet: Wallet) -> tuple[str, bytes]:
    """(signature, raw bytes)."""
    signature = wallet.sign(made)
    return str(signature), bytes(VersionedTransaction.populate(made, [signature]))


def cu_limit_at_most(legs: Iterable[Leg]) -> int:
    """A limit that suffices where nothing was simulated."""
    return min(CU_MAX, CU_AROUND + sum(leg.family.cu_limit for leg in legs))


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
        *([unwrap(plan.owner, sol)] if sol is not None else ()),
    ]


def _account(plan: Plan, mint: str) -> Pubkey:
    """The account that the swaps use for this token."""
    if mint == WSOL and not plan.associated:
        return temporary_account(plan.owner, _seed(plan))
    return associated_account(plan.owner, mint, plan.programs[mint])


def _wrap(plan: Plan, account: Pubkey) -> list[Instruction]:
    lamports = _brought(plan.legs)
    if plan.associated:
        return wrap_associated(plan.owner, account, lamports)
    return wrap_temporary(plan.owner, _seed(plan), lamports)


def _seed(plan: Plan) -> str:
    """Nobody can know it before the transaction is out: an account that somebody has sent a
    lamport to before could not be created.
    """
    return sha256(plan.memo.encode()).hexdigest()[:8]


def _brought(legs: Sequence[Leg]) -> int:
    """Lamports that the wallet has to bring: none for SOL that an earlier leg pays out."""
    total = 0
    earlier: set[str] = set()
    for leg in legs:
        if leg.mint_in == WSOL and WSOL not in earlier:
            total += leg.amount_in_most
        earlier.add(leg.mint_out)
    return total


def _swap(owner: Pubkey, leg: Leg, accounts: Mapping[str, Pubkey]) -> Instruction:
    use = SwapAccounts(str(owner), str(accounts[leg.mint_in]), str(accounts[leg.mint_out]))
    made = leg.family.instruction(leg.pool, leg.a_to_b, leg.terms, use)
    return Instruction(
        key(made.program),
        made.data,
        [AccountMeta(key(a.address), a.signer, a.writable) for a in made.accounts],
    )
