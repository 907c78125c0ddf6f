"""Values that events carry: quotes, legs, fills and warnings. Arrays: fields are only appended."""

from __future__ import annotations

import msgspec


class TokenWarning(msgspec.Struct, frozen=True, array_like=True):
    """A power of the issuer over a token of a route; see `events.token_warnings`."""

    code: str
    token: str
    """Its symbol."""


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """One swap of a route, through one pool."""

    dex: str
    family: str
    """The pool program, such as `raydium-clmm`."""
    pool: str
    """Its address."""
    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int
    amount_in: int
    amount_out: int
    fee: int
    fee_on_output: bool
    price_impact_ppm: int
    """The shortfall against the pool's spot price without fees, in millionths."""
    exact_out: bool
    """Whether amount_out is exact and amount_in the estimate, or the other way round."""
    transfer_fee_in: int = 0
    """Withheld by the mint of token_in; part of amount_in, not of `fee`."""
    transfer_fee_out: int = 0
    """Withheld by the mint of token_out; neither in amount_out nor in `fee`."""


class Fill(msgspec.Struct, frozen=True, array_like=True):
    """One swap of a route as it was executed, in base units."""

    pool: str
    """Its address."""
    token_in: str
    token_out: str
    decimals_in: int
    decimals_out: int
    amount_in: int
    """The input of the pool; 0 where the chain does not show it."""
    amount_out: int
    """The output of the pool; 0 where the chain does not show it."""
    leftover: int = 0
    """What the wallet keeps of token_out, where that is the token between two swaps: the second
    swap took the rest. Of several swaps into that token the first has all of it."""


class Quote(msgspec.Struct, frozen=True, array_like=True):
    """The outcome of one route through a venue.

    `amount_out` is the amount that the wallet receives, less pool fees. Routes are compared by it
    less `cost`; see `events.best_quote`.
    """

    dex: str
    pool: str
    amount_in: int
    amount_out: int
    fee: int
    """All fees of pools and mints in base units of token_in; what is taken elsewhere is valued at
    its rate."""
    slot: int
    error: str = ""
    """The stable code of a refusal; the amounts are then 0, unless they are its reason."""
    price_impact_ppm: int = 0
    cost: int = 0
    """Of the transaction: in base units of token_out, or of token_in if the output is exact."""
    legs: tuple[Leg, ...] = ()
    """The swaps, side by side or one after the other; empty for a venue without pools."""
    warnings: tuple[TokenWarning, ...] = ()
    """Of the tokens of its legs; a recorded route keeps those of the chosen quote only."""
