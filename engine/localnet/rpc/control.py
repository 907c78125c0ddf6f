"""Methods that no real node has: faucet, faults, forks, time."""

from __future__ import annotations

from typing import Any

import msgspec
from solders.signature import Signature

from engine.localnet.faults import Faults
from engine.localnet.genesis import pools_file
from engine.localnet.landed import Details, Landed
from engine.localnet.rpc.parameters import Call, address, invalid
from engine.localnet.state.accounts import (
    TOKEN_BYTES,
    Account,
    amount_of,
    is_mint,
    token_account,
    with_amount,
)
from engine.localnet.state.addresses import token_address

ADVANCE_MAX = 10_000


def request_airdrop(call: Call) -> Any:
    """Gives lamports in a transaction of the faucet, which lands at once."""
    wallet, lamports = address(call.text(0)), call.whole(1)
    node = call.node
    there = node.bank.account(wallet) or Account(0)
    node.fund({wallet: there._replace(lamports=there.lamports + lamports)})
    tip = node.bank.blocks.tip
    landed = Landed(
        str(Signature.new_unique()), tip.slot, tip.height, tip.time_s, None, 0, 0, "", wallet, [],
        Details(b"", [], [], [], [], []),
    )  # fmt: skip
    node.bank.recent[landed.signature] = landed
    tip.signatures.append(landed.signature)
    node.save()
    return landed.signature


def give_tokens(call: Call) -> Any:
    """`localnet_giveTokens [wallet, mint, amount]`: into its associated token account."""
    wallet, mint, amount = address(call.text(0)), address(call.text(1)), call.whole(2)
    node = call.node
    if not is_mint(node.bank.account(mint)):
        raise invalid("Invalid param: not a Token mint")
    target = token_address(wallet, mint)
    there = node.bank.account(target) or token_account(mint, wallet)
    lamports = amount if there.data[109] else 0
    node.fund({target: with_amount(there, amount_of(there) + amount, lamports)})
    node.save()
    return target


def get_faults(call: Call) -> Any:
    """The faults that are switched on."""
    return msgspec.to_builtins(call.node.luck.faults)


def set_faults(call: Call) -> Any:
    """`localnet_setFaults [{…}]`: changes the named faults; `[{}]` changes none."""
    settings = call.params[0] if call.params else {}
    if not isinstance(settings, dict):
        raise invalid("Invalid params: expected an object of faults.")
    now = {} if settings.get("reset") else msgspec.to_builtins(call.node.luck.faults)
    try:
        faults = msgspec.convert(
            now | {name: value for name, value in settings.items() if name != "reset"}, Faults
        )
    except msgspec.ValidationError as error:
        raise invalid(f"Invalid params: {error}") from None
    call.node.luck.faults = faults
    call.node.bank.blocks.delay = faults.confirm_delay
    return msgspec.to_builtins(faults)


def fork(call: Call) -> Any:
    """`localnet_fork [blocks]`: drops the newest blocks; returns their signatures."""
    return call.node.fork(call.whole(0))


def advance(call: Call) -> Any:
    """`localnet_advance [blocks]`: makes this many blocks at once; returns the height."""
    blocks = call.whole(0)
    if blocks > ADVANCE_MAX:
        raise invalid(f"Too many blocks; max {ADVANCE_MAX}")
    for _ in range(blocks):
        call.node.block()
    return call.node.bank.blocks.tip.height


def set_rent(call: Call) -> Any:
    """`localnet_setRent [lamports]`: sets the rent of a byte; returns that of a token account."""
    state = call.node.bank.state
    state.rent_per_byte = call.whole(0)
    return state.rent_exempt(TOKEN_BYTES)


METHODS = {
    "requestAirdrop": request_airdrop,
    "localnet_giveTokens": give_tokens,
    "localnet_getFaults": get_faults,
    "localnet_setFaults": set_faults,
    "localnet_fork": fork,
    "localnet_advance": advance,
    "localnet_setRent": set_rent,
    "localnet_pools": lambda _call: pools_file(),
}
