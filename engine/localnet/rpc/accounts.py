"""Methods that return accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.localnet.rpc.encoding import decimals_in, shown, ui_amount
from engine.localnet.rpc.parameters import Call, address, commitment, invalid
from engine.localnet.state.accounts import Account, is_token_account, read_token
from engine.localnet.state.addresses import TOKEN, TOKEN_2022, raw

ACCOUNTS_MAX = 100


def get_account_info(call: Call) -> Any:
    """One account."""
    address_, config = address(call.text(0)), call.config(1)
    level = commitment(config)
    return call.answer(level, shown(call.account(address_, level), config, _mints(call)))


def get_multiple_accounts(call: Call) -> Any:
    """Up to 100 accounts, all of one slot."""
    addresses = [address(each) for each in call.texts(0, ACCOUNTS_MAX)]
    config = {"encoding": "base64"} | call.config(1)
    level, mints = commitment(config), _mints(call)
    return call.answer(
        level, [shown(call.account(each, level), config, mints) for each in addresses]
    )


def get_balance(call: Call) -> Any:
    """Lamports of an account."""
    address_, level = address(call.text(0)), commitment(call.config(1))
    account = call.account(address_, level)
    return call.answer(level, account.lamports if account else 0)


def get_token_account_balance(call: Call) -> Any:
    """The balance of a token account."""
    address_, level = address(call.text(0)), commitment(call.config(1))
    account = call.account(address_, level)
    if account is None:
        raise invalid("Invalid param: could not find account")
    if not is_token_account(account):
        raise invalid("Invalid param: not a Token account")
    token = read_token(account.data)
    return call.answer(level, ui_amount(token.amount, decimals_in(_mints(call), token.mint)))


def get_token_accounts_by_owner(call: Call) -> Any:
    """The token accounts of a wallet, of one mint or of a token program."""
    owner, config = address(call.text(0)), call.config(2)
    filter_ = call.params[1] if len(call.params) > 1 else None
    if not isinstance(filter_, dict) or not ({"mint", "programId"} & filter_.keys()):
        raise invalid("Invalid params: expected a filter by mint or programId.")
    if filter_.get("programId", TOKEN) not in (TOKEN, TOKEN_2022):
        raise invalid("Invalid param: unrecognized Token program id")
    level, mints = commitment(config), _mints(call)
    accounts = []
    for each, account in _owned(call, owner, filter_, level):
        accounts.append({"pubkey": each, "account": shown(account, config, mints)})
    return call.answer(level, accounts)


def _owned(
    call: Call, owner: str, filter_: Mapping[str, str], level: str
) -> list[tuple[str, Account]]:
    holder = raw(owner)
    mint = raw(address(filter_["mint"])) if "mint" in filter_ else None
    program = filter_.get("programId", TOKEN)
    accounts = []
    for each in list(call.node.bank.state.accounts):
        account = call.account(each, level)
        if account is None or account.owner != program or not is_token_account(account):
            continue
        if account.data[32:64] == holder and (mint is None or account.data[:32] == mint):
            accounts.append((each, account))
    return accounts


def get_minimum_balance_for_rent_exemption(call: Call) -> Any:
    """The rent-exempt minimum of an account of this size, in lamports."""
    return call.node.bank.state.rent_exempt(call.whole(0))


def _mints(call: Call) -> Any:
    return call.node.bank.state.accounts.get


METHODS = {
    "getAccountInfo": get_account_info,
    "getMultipleAccounts": get_multiple_accounts,
    "getBalance": get_balance,
    "getTokenAccountBalance": get_token_account_balance,
    "getTokenAccountsByOwner": get_token_accounts_by_owner,
    "getMinimumBalanceForRentExemption": get_minimum_balance_for_rent_exemption,
}
