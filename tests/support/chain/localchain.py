"""A local chain for tests: opened in a folder, with a funded wallet and what it signs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from solders.hash import Hash
from solders.instruction import AccountMeta
from solders.instruction import Instruction as SoldersInstruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1, TransactionConfig
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from engine.localnet.genesis.market import BY_SYMBOL, POOLS, PoolPlan
from engine.localnet.node import Node
from engine.localnet.open import Options, open_node
from engine.localnet.state import addresses
from engine.localnet.state.addresses import token_address
from stages.pools.contract import AccountUse, Family, Instruction, SwapAccounts, SwapTerms
from stages.pools.families import FAMILIES

WALLET = Keypair.from_seed(bytes([7] * 32))
OWNER = str(WALLET.pubkey())
LOADED_MAX = 64 * 1024 * 1024
AMPLE = TransactionConfig(compute_unit_limit=1_400_000, loaded_accounts_data_size_limit=LOADED_MAX)
"""All that a v1 transaction may use, and no priority fee."""
NO_BLOCKHASH = Hash.default()
"""Of no chain."""
FAMILY_NAMES = tuple(family.name for family in FAMILIES)


def opened(folder: Path, **options: object) -> Node:
    """A chain without other traders; slots advance only when a test advances them."""
    given: dict[str, object] = {"slot_ms": 0, "trades_per_slot": 0, "wallets": (OWNER,)}
    return open_node(Options(folder / "chain.sqlite", **(given | options)), FAMILIES)  # type: ignore[arg-type]


def plan_of(family: str, pair: str = "SOL/USDC") -> PoolPlan:
    """The pool of a family for a pair."""
    return next(plan for plan in POOLS if plan.family == family and plan.pair == pair)


def family_of(name: str) -> Family:
    """A family by its name."""
    return next(family for family in FAMILIES if family.name == name)


def mint_of(symbol: str) -> str:
    """A token's mint."""
    return BY_SYMBOL[symbol].mint


def account_of(symbol: str, owner: str = OWNER) -> str:
    """A wallet's token account."""
    return token_address(owner, mint_of(symbol))


def budget(units: int = 200_000, price: int = 0) -> list[Instruction]:
    """Compute unit limit and price."""
    program = addresses.COMPUTE_BUDGET
    return [
        Instruction(program, (), b"\x02" + units.to_bytes(4, "little")),
        Instruction(program, (), b"\x03" + price.to_bytes(8, "little")),
    ]


def memo(text: str) -> Instruction:
    """A memo."""
    return Instruction(addresses.MEMO, (), text.encode())


def create_ata(symbol: str, *, owner: str = OWNER, idempotent: bool = True) -> Instruction:
    """Create an associated token account."""
    uses = (
        AccountUse(OWNER, signer=True, writable=True),
        AccountUse(account_of(symbol, owner), writable=True),
        AccountUse(owner),
        AccountUse(mint_of(symbol)),
        AccountUse(addresses.SYSTEM),
        AccountUse(addresses.TOKEN),
    )
    return Instruction(addresses.ATA, uses, b"\x01" if idempotent else b"\x00")


def transfer(target: str, lamports: int, source: str = OWNER) -> Instruction:
    """Lamports from a wallet."""
    uses = (AccountUse(source, signer=True, writable=True), AccountUse(target, writable=True))
    data = (2).to_bytes(4, "little") + lamports.to_bytes(8, "little")
    return Instruction(addresses.SYSTEM, uses, data)


def sync_native(account: str) -> Instruction:
    """The amount of a wrapped SOL account follows its lamports."""
    return Instruction(addresses.TOKEN, (AccountUse(account, writable=True),), bytes([17]))


def close(account: str, target: str = OWNER, owner: str = OWNER) -> Instruction:
    """Close a token account."""
    uses = (
        AccountUse(account, writable=True),
        AccountUse(target, writable=True),
        AccountUse(owner, signer=True),
    )
    return Instruction(addresses.TOKEN, uses, bytes([9]))


def token_transfer(source: str, target: str, amount: int, owner: str = OWNER) -> Instruction:
    """Tokens from one account to another."""
    uses = (
        AccountUse(source, writable=True),
        AccountUse(target, writable=True),
        AccountUse(owner, signer=True),
    )
    return Instruction(addresses.TOKEN, uses, b"\x03" + amount.to_bytes(8, "little"))


def wrap(lamports: int) -> list[Instruction]:
    """Native SOL into the wallet's account of wrapped SOL."""
    account = account_of("SOL")
    return [create_ata("SOL"), transfer(account, lamports), sync_native(account)]


def swap(
    node: Node,
    plan: PoolPlan,
    token_in: str,
    amount: int,
    threshold: int = 1,
    *,
    exact_out: bool = False,
) -> Instruction:
    """A swap, as the family writes it for the pool as it is."""
    pooled = node.bank.state.pool(plan.address)
    assert pooled is not None
    a_to_b = mint_of(token_in) == pooled.pool.mint_a
    token_out = (plan.token_b if a_to_b else plan.token_a).symbol
    use = SwapAccounts(OWNER, account_of(token_in), account_of(token_out))
    terms = SwapTerms(exact_out, amount, threshold)
    return pooled.family.instruction(pooled.pool, a_to_b, terms, use)


def signed(
    blockhash: str,
    instructions: Sequence[Instruction],
    signers: Sequence[Keypair] = (WALLET,),
    config: TransactionConfig | None = None,
) -> VersionedTransaction:
    """A signed transaction, v1 where it has a config and v0 else; the first signer pays."""
    solders_instructions = [
        SoldersInstruction(
            Pubkey.from_string(each.program),
            each.data,
            [_meta(use) for use in each.accounts],
        )
        for each in instructions
    ]
    payer, recent = signers[0].pubkey(), Hash.from_string(blockhash)
    message: MessageV0 | MessageV1
    if config is None:
        message = MessageV0.try_compile(payer, solders_instructions, [], recent)
    else:
        message = MessageV1.try_compile(payer, solders_instructions, recent, config)
    return VersionedTransaction(message, list(signers))


def sealed(
    payer: Keypair,
    instructions: Sequence[SoldersInstruction],
    version: int | None,
    blockhash: Hash = NO_BLOCKHASH,
) -> bytes:
    """A signed transaction of any version (None: legacy)."""
    key = payer.pubkey()
    message: Message | MessageV0 | MessageV1
    if version is None:
        message = Message.new_with_blockhash(list(instructions), key, blockhash)
    elif version == 0:
        message = MessageV0.try_compile(key, list(instructions), [], blockhash)
    else:
        message = MessageV1.try_compile(key, list(instructions), blockhash, AMPLE)
    return bytes(VersionedTransaction(message, [payer]))


def _meta(use: AccountUse) -> AccountMeta:
    return AccountMeta(Pubkey.from_string(use.address), use.signer, use.writable)


def sell_sol(node: Node, plan: PoolPlan, lamports: int, words: str = "order") -> list[Instruction]:
    """All that an order needs: wrap, swap, unwrap."""
    token_out = (plan.token_b if plan.token_a.symbol == "SOL" else plan.token_a).symbol
    return [
        *budget(400_000, 1_000),
        create_ata(token_out),
        *wrap(lamports),
        swap(node, plan, "SOL", lamports),
        close(account_of("SOL")),
        memo(words),
    ]
