"""Asks nodes once for each method that the engine asks for, in the sizes in which it asks.

`METHODS` is the table of them: every method that this room calls has a row here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import structlog
from msgspec.json import Decoder
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from events.secret import SecretUrl
from stages.venues import VenueRefusal
from stages.venues.solana.rpc.account_methods import ACCOUNTS_MAX
from stages.venues.solana.rpc.calls import Ask, base64_of
from stages.venues.solana.rpc.clusters import ClusterGuard
from stages.venues.solana.rpc.errors import RpcError, TooLarge, Unreachable
from stages.venues.solana.rpc.faults import PLAIN, SIZED, TAKES_TRANSACTIONS, About
from stages.venues.solana.rpc.link import RpcLink
from stages.venues.solana.rpc.options import RpcOptions
from stages.venues.solana.rpc.transaction_methods import SIGNATURES_MAX
from stages.venues.solana.transaction.programs import MEMO, TOKEN

SURVEY_S = 300.0
"""How often a running process looks again: plans and nodes change."""
DEADLINE_S = 3.0
"""For one method at one node."""
NO_SIGNATURE = str(Signature.default())
Use = Literal["orders", "repair", "figures"]
"""The use of a method: for orders, for `engine repair`, or for more exact figures."""

_anything: Decoder[Any] = Decoder()
_log = structlog.get_logger()


class Subject(NamedTuple):
    """The addresses that the survey asks about."""

    wallet: str
    accounts: Sequence[str]
    """Addresses of pools, one at least."""


class Method(NamedTuple):
    """A method that the engine asks for."""

    use: Use
    params: Callable[[Subject, int], Sequence[Any]]
    """As the engine asks; of a subject and a slot of the node."""
    instead: tuple[str, ...] = ()
    """Methods of which each one serves as well."""


def _at(commitment: str, **more: Any) -> dict[str, Any]:
    return {"commitment": commitment} | more


def _accounts(subject: Subject, _: int) -> Sequence[Any]:
    addresses = list(islice(cycle(subject.accounts), ACCOUNTS_MAX))
    return addresses, _at("processed", encoding="base64")


def _trial(subject: Subject, _: int) -> Sequence[Any]:
    """A transaction with a memo alone, unsigned: it moves nothing."""
    payer = Pubkey.from_string(subject.wallet)
    memo = Instruction(Pubkey.from_string(MEMO), b"doctor", [])
    message = MessageV0.try_compile(payer, [memo], [], Hash.default())
    raw = bytes(VersionedTransaction.populate(message, [Signature.default()]))
    config = _at("processed", encoding="base64", sigVerify=False, replaceRecentBlockhash=True)
    return base64_of(raw), config


METHODS: Mapping[str, Method] = {
    "getGenesisHash": Method("orders", lambda _, __: ()),
    "getSlot": Method("orders", lambda _, __: (_at("processed"),)),
    "getMultipleAccounts": Method("orders", _accounts),
    "getLatestBlockhash": Method("orders", lambda _, __: (_at("finalized"),)),
    "simulateTransaction": Method("orders", _trial),
    # No bytes of a transaction: refused by who serves it, and nothing is sent.
    "sendTransaction": Method("orders", lambda _, __: ("AA==", {"encoding": "base64"})),
    "getSignatureStatuses": Method(
        "orders",
        lambda _, __: ([NO_SIGNATURE] * SIGNATURES_MAX, {"searchTransactionHistory": True}),
    ),
    "getEpochInfo": Method("orders", lambda _, __: (_at("finalized"),), ("getBlockHeight",)),
    "getBlockHeight": Method("repair", lambda _, __: (_at("finalized"),)),
    "getFirstAvailableBlock": Method(
        "orders", lambda _, __: (), ("getBlocks", "minimumLedgerSlot")
    ),
    "getBlocks": Method("figures", lambda _, slot: (max(0, slot - 100), slot, _at("finalized"))),
    "minimumLedgerSlot": Method("figures", lambda _, __: ()),
    "getTransaction": Method(
        "orders",
        lambda _, __: (
            NO_SIGNATURE,
            _at("finalized", encoding="base64", maxSupportedTransactionVersion=1),
        ),
    ),
    "getSignaturesForAddress": Method(
        "repair", lambda subject, _: (subject.wallet, _at("finalized", limit=1_000))
    ),
    "getBlockTime": Method("repair", lambda _, slot: (max(0, slot - 64),)),
    "getBalance": Method("figures", lambda subject, _: (subject.wallet, _at("finalized"))),
    "getTokenAccountsByOwner": Method(
        "figures",
        lambda subject, _: (
            subject.wallet,
            {"programId": TOKEN},
            _at("finalized", encoding="base64"),
        ),
    ),
    "getMinimumBalanceForRentExemption": Method("figures", lambda _, __: (165,)),
    "getRecentPerformanceSamples": Method("figures", lambda _, __: (1,)),
    "getAgGenesisCert": Method("figures", lambda _, __: ()),
}
"""By name, in the order in which they are tried."""
assert {name for method in METHODS.values() for name in method.instead} <= METHODS.keys()
assert METHODS.keys() >= SIZED | PLAIN | TAKES_TRANSACTIONS, "faults are read of known methods"


class Surveyed(NamedTuple):
    """One node, as it is now."""

    host: str
    slot: int
    refusals: Mapping[str, str]
    """Method -> the answer of the node instead of serving it."""
    limits: Mapping[str, str]
    """Method -> by what the node limits its calls, of those that it serves in part."""

    def lacks(self, use: Use) -> list[str]:
        """The answers to the methods of this use that nothing else at this node stands in for."""
        return [
            text + _would_do(name)
            for name, text in self.refusals.items()
            if METHODS[name].use == use and _lacks(self, name)
        ]


async def survey(url: SecretUrl, admission: ClusterGuard, subject: Subject) -> Surveyed:
    """Asks one node. Raises VenueRefusal where it cannot be used at all."""
    link = RpcLink(RpcOptions((url,), deadline_s=DEADLINE_S, observed=False), admission)
    refusals: dict[str, str] = {}
    limits: dict[str, str] = {}
    try:
        slot: int = await link.call("getSlot", METHODS["getSlot"].params(subject, 0), Decoder(int))
        for name, method in METHODS.items():
            try:
                await link.together([Ask(name, method.params(subject, slot), _anything)])
            except RpcError:
                pass  # the request was read and refused: the method is served
            except TooLarge as error:
                limits[name] = error.detail
            except Unreachable as error:
                if error.fault.about is not About.BLOCK:
                    refusals[name] = error.detail
    finally:
        await link.close()
    return Surveyed(urlsplit(url.reveal()).hostname or "?", slot, refusals, limits)


class Nodes:
    """All nodes of a process that runs, looked at now and then."""

    def __init__(
        self, urls: Sequence[SecretUrl], admission: Callable[[], ClusterGuard], subject: Subject
    ) -> None:
        self._urls, self._admission, self._subject = urls, admission, subject
        self._seen: list[Surveyed] = []

    def fault(self) -> str:
        """Which methods that orders need no node serves, and why; empty where all are served."""
        return "; ".join(missing(self._seen, "orders"))

    async def watch(self) -> None:
        """Runs for as long as the process."""
        while True:
            await self.look()
            for text in missing(self._seen, "orders"):
                _log.warning("method_unserved", reason=text)
            await asyncio.sleep(SURVEY_S)

    async def look(self) -> list[Surveyed | None]:
        """Looks at all nodes once, in order; None for a node that cannot be used or does not
        answer: that tells nothing about its methods.
        """
        told = await asyncio.gather(*map(self._survey, self._urls))
        self._seen = [node for node in told if node is not None]
        return told

    async def _survey(self, url: SecretUrl) -> Surveyed | None:
        try:
            return await survey(url, self._admission(), self._subject)
        except (VenueRefusal, OSError):
            return None


def missing(seen: Sequence[Surveyed], use: Use) -> Iterator[str]:
    """The answers of the nodes to each method of this use that none of them serves."""
    for name, method in METHODS.items():
        if method.use != use or not seen:
            continue
        texts = [node.refusals[name] for node in seen if _lacks(node, name)]
        if len(texts) == len(seen):
            yield "; ".join(texts) + _would_do(name)


def _would_do(name: str) -> str:
    instead = METHODS[name].instead
    return f" ({' or '.join(instead)} would do)" if instead else ""


def _lacks(surveyed: Surveyed, name: str) -> bool:
    served = [name, *METHODS[name].instead]
    return all(other in surveyed.refusals for other in served)
