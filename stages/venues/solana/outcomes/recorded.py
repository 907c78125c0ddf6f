"""Reads one transaction from the chain's record, by its signature: for orders that are settled by
it. Only what is finalized counts, and only what our wallet paid for; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from events.ids import parse_order_id
from events.types import Fill
from stages.pools.contract import Family
from stages.venues import Outcome, VenueRefusal
from stages.venues.record import Record
from stages.venues.solana.accounts.pools_file import TokenEntry
from stages.venues.solana.outcomes.details import executed_outcome
from stages.venues.solana.outcomes.executed import bytes_of
from stages.venues.solana.outcomes.landed import Sent, read_sent
from stages.venues.solana.outcomes.outcomes import is_signature
from stages.venues.solana.rpc.answers import Details, Meta
from stages.venues.solana.rpc.methods import Rpc
from stages.venues.solana.transaction.messages import Decoded, decode, memos_of
from stages.venues.solana.transaction.programs import WSOL
from stages.venues.solana.transaction.signing import order_id_of


class Records:
    """Asks the nodes about single transactions of one wallet. `tokens` are by mint."""

    def __init__(
        self,
        rpc: Rpc,
        families: Sequence[Family],
        address: str,
        tokens: Mapping[str, TokenEntry],
    ) -> None:
        self._rpc = rpc
        self._families = families
        self._address = address
        self._tokens = tokens

    async def read(self, signature: str) -> Record:
        """The record. Raises Refused: `transaction-not-found`, `transaction-not-finalized`,
        `transaction-of-another-wallet`, `amounts-unclear`, or what the nodes say.
        """
        if not is_signature(signature):
            raise VenueRefusal(
                "malformed-signature", f"{signature!r} is not a signature of this chain"
            )
        details = await self._rpc.get_transaction(signature, "finalized")
        if details is None or details.meta is None or details.transaction is None:
            raise await self._missing(signature)
        decoded = self._decoded(signature, details)
        orders = [parse_order_id(order_id_of(memo)) for memo in memos_of(decoded.message)]
        named = tuple(order for order in orders if order is not None)
        meta = details.meta
        try:
            sent = read_sent(bytes_of(details.transaction[0]), self._families)
            if meta.err is not None:
                outcome = executed_outcome(sent, details.slot, meta, self._families)
                return Record(signature, outcome, named)
            return self._landed(signature, sent, details.slot, meta, named)
        except ValueError as error:
            raise VenueRefusal("amounts-unclear", f"{signature}: {error}") from None

    async def _missing(self, signature: str) -> VenueRefusal:
        [status] = (await self._rpc.get_signature_statuses([signature])).value
        if status is None:
            return VenueRefusal("transaction-not-found", f"no node has {signature}", retryable=True)
        detail = f"{signature} is {status.confirmation_status or 'processed'}, not finalized yet"
        return VenueRefusal("transaction-not-finalized", detail, retryable=True)

    def _decoded(self, signature: str, details: Details) -> Decoded:
        assert details.transaction is not None, "the caller has looked"
        try:
            decoded = decode(bytes_of(details.transaction[0]))
        except ValueError as error:
            raise VenueRefusal("transaction-unreadable", f"{signature}: {error}") from None
        if decoded.signatures[:1] != (signature,):
            raise VenueRefusal(
                "transaction-unreadable", f"the node shows another one for {signature}"
            )
        if decoded.payer != self._address:
            detail = f"{decoded.payer} paid for {signature}, not {self._address}"
            raise VenueRefusal("transaction-of-another-wallet", detail)
        return decoded

    def _landed(
        self, signature: str, sent: Sent, slot: int, meta: Meta, named: tuple[str, ...]
    ) -> Record:
        owners = {swap.accounts.owner for swap in sent.swaps} - {self._address}
        if owners:
            detail = f"{', '.join(owners)} swapped in {signature}, not {self._address}"
            raise VenueRefusal("transaction-of-another-wallet", detail)
        outcome = executed_outcome(sent, slot, meta, self._families)
        ways = [self._mints(sent, number, meta) for number in range(len(sent.swaps))]
        single = len(sent.swaps) == 1
        return Record(
            signature,
            outcome,
            named,
            (self._symbol(ways[0][0]), self._symbol(ways[-1][1])),
            self._dex(sent) if single else "",
            sent.swaps[0].pool if single else "",
            self._fills(sent, ways, outcome),
        )

    def _mints(self, sent: Sent, number: int, meta: Meta) -> tuple[str, str]:
        """What a swap pays and is paid. An account that holds nothing before and after is gone:
        that of wrapped SOL.
        """
        mints = {
            balance.account_index: balance.mint
            for balances in (meta.pre_token_balances, meta.post_token_balances)
            for balance in balances or ()
        }
        use = sent.swaps[number].accounts
        mint_in, mint_out = (
            mints.get(sent.keys.index(account), WSOL) for account in (use.token_in, use.token_out)
        )
        return mint_in, mint_out

    def _symbol(self, mint: str) -> str:
        return self._tokens[mint].symbol if mint in self._tokens else mint

    def _dex(self, sent: Sent) -> str:
        by_program = {program: f for f in self._families for program in f.programs.values()}
        return next(
            by_program[instruction.program].dex
            for instruction in sent.instructions
            if instruction.program in by_program
        )

    def _fills(
        self, sent: Sent, ways: Sequence[tuple[str, str]], outcome: Outcome
    ) -> tuple[Fill, ...]:
        if any(mint not in self._tokens for way in ways for mint in way):
            return ()
        entries = [(self._tokens[mint_in], self._tokens[mint_out]) for mint_in, mint_out in ways]
        return tuple(
            Fill(swap.pool, a.symbol, b.symbol, a.decimals, b.decimals, *leg)
            for swap, (a, b), leg in zip(sent.swaps, entries, outcome.legs, strict=True)
        )
