"""Reads accounts: raw, in part, or as token accounts and balances."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain

from msgspec.json import Decoder

from stages.venues.solana.rpc.answers import AccountInfo, At, KeyedAccount, TokenAccount
from stages.venues.solana.rpc.calls import ACCOUNTS, Ask, accounts_ask, config_of, token_account
from stages.venues.solana.rpc.options import Commitment
from stages.venues.solana.rpc.shared_methods import RpcMethods

ACCOUNTS_MAX = 100
"""Of a call: https://solana.com/docs/rpc/http/getmultipleaccounts."""

_keyed = Decoder(At[list[KeyedAccount]])
_balance = Decoder(At[int])
_number = Decoder(int)


class AccountMethods(RpcMethods):
    """The methods about accounts."""

    @property
    def accounts_max(self) -> int:
        """How many accounts one answer holds, by what the nodes have said so far."""
        return self._link.size_max(ACCOUNTS) or ACCOUNTS_MAX

    async def get_multiple_accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: Commitment,
        min_context_slot: int | None = None,
    ) -> list[At[list[AccountInfo | None]]]:
        """The accounts, in order, one answer for each 100 addresses, or fewer where nodes take
        fewer. One answer is one bank; two answers may be of two slots.
        """

        def ask(some: Sequence[str]) -> Ask:
            return self._accounts_ask(some, commitment, min_context_slot)

        answers = await self._split(addresses, self.accounts_max, ask)
        for answer in answers:
            self._newest.take(commitment, answer.slot)
        return answers

    async def get_accounts_at_once(
        self, addresses: Sequence[str], *, commitment: Commitment, min_context_slot: int | None
    ) -> At[list[AccountInfo | None]]:
        """The accounts of one bank, in order. Raises TooLarge where no node takes so many."""
        ask = self._accounts_ask(addresses, commitment, min_context_slot)
        answer: At[list[AccountInfo | None]] = (await self._link.together([ask]))[0]
        self._newest.take(commitment, answer.slot)
        return answer

    async def get_account_heads(
        self, addresses: Sequence[str], head_bytes: int, commitment: Commitment
    ) -> list[AccountInfo | None]:
        """The accounts, in order, with the first bytes of their data alone; `space` is whole."""
        part = {"offset": 0, "length": head_bytes}
        config = config_of(commitment, encoding="base64", dataSlice=part)
        answers = await self._split(
            addresses, self.accounts_max, lambda some: accounts_ask(some, config)
        )
        return [account for answer in answers for account in answer.value]

    def _accounts_ask(self, some: Sequence[str], commitment: Commitment, least: int | None) -> Ask:
        config = config_of(commitment, encoding="base64", minContextSlot=least)
        return accounts_ask(some, config, least)

    async def get_token_accounts(
        self, owner: str, programs: Sequence[str], commitment: Commitment
    ) -> list[TokenAccount]:
        """All token accounts of an owner under these token programs."""
        config = config_of(commitment, encoding="base64")
        answers = await asyncio.gather(
            *(
                self._link.call(
                    "getTokenAccountsByOwner", (owner, {"programId": program}, config), _keyed
                )
                for program in programs
            )
        )
        return [
            token_account(keyed_account)
            for keyed_account in chain.from_iterable(a.value for a in answers)
        ]

    async def get_balance(self, address: str, commitment: Commitment) -> int:
        """Lamports."""
        answer = await self._link.call("getBalance", (address, config_of(commitment)), _balance)
        return answer.value

    async def get_minimum_balance(self, size: int) -> int:
        """Lamports on which an account of so many bytes of data may live."""
        return await self._link.call("getMinimumBalanceForRentExemption", (size,), _number)
