"""The rate limiter (base fee mode 2): a fee that grows with the size of a purchase.

For a time after activation an input of b is charged in brackets of the reference amount x: the
first at the cliff fee c, each further one at i more, up to a highest fee (docs.meteora.ag, rate
limiter math). It applies only where the fee is taken from the input.

That page gives the fee as a sum over brackets; the program applies one rate to the whole amount.
From the vectors: the sum is rounded up to base units, then the rate to 1e-9. Amounts up to x pay c.

An amount without its fee is inverted in two steps. Over the first n brackets the fee is n·x·c plus
n·(n-1)/2 · x·i, which as a function of the amount y = n·x is the parabola y·c + y·(y - x)·i/(2x).
Its root, rounded down, is a first part; what that leaves, with its own rate rounded, is taken off,
and the rest is charged at the rate of the bracket in which the root lies. An amount beyond the last
rising bracket has all rising brackets as its first part, and its rest pays the highest fee.
"""

from __future__ import annotations

from math import isqrt

import msgspec

from stages.pools.contract import PPB


class Limiter(msgspec.Struct, frozen=True, gc=False):
    """Brackets of a fee, per 1e9 of the amount within them."""

    cliff: int
    increment: int
    brackets: int
    """How often the fee still rises by a whole increment."""
    highest: int
    reference: int
    """The size of a bracket, in base units of the input."""
    start: int
    end: int
    """The last slot or second at which it applies."""

    def applies(self, point: int) -> bool:
        """Whether purchases are limited at this point."""
        return self.start <= point <= self.end

    def of_included(self, amount: int) -> int:
        """The rate of an input that includes the fee."""
        if amount <= self.reference:
            return self.cliff
        fee = -(-self._charge(amount) // PPB)
        return -(-fee * PPB // amount)

    def of_excluded(self, net: int) -> int:
        """The rate of an input of which `net` remains after the fee."""
        if net <= self._net(self.reference):
            return self.cliff
        part = (self.brackets + 1) * self.reference
        rate = self.highest
        if net < self._net(part):
            part = self._root(net)
            rate = self.cliff + self.increment * (part // self.reference)
        rest = net - self._net(part)
        amount = part - (-rest * PPB // (PPB - rate))
        return -(-(amount - net) * PPB // amount)

    def _net(self, amount: int) -> int:
        """The amount less the fee of its own rate."""
        return amount - -(-amount * self.of_included(amount) // PPB)

    def _root(self, net: int) -> int:
        """The amount of which the parabola leaves `net`, rounded down.

        With the parabola as above, i·y² - (2e9 - 2c + i)·x·y + 2e9·x·net = 0. Where all rising
        brackets leave more than `net` there is a real root.
        """
        linear = (2 * PPB - 2 * self.cliff + self.increment) * self.reference
        squared = linear * linear - 8 * PPB * self.increment * self.reference * net
        root = isqrt(squared)
        root += root * root < squared  # up, so that the quotient is rounded down
        return (linear - root) // (2 * self.increment)

    def _charge(self, amount: int) -> int:
        """The sum over brackets, times 1e9."""
        full, rest = divmod(amount, self.reference)
        rising = min(full, self.brackets + 1)
        whole = self.cliff * rising + self.increment * (rising * (rising - 1) // 2)
        whole += (full - rising) * self.highest
        return self.reference * whole + rest * self._rate(full)

    def _rate(self, bracket: int) -> int:
        if bracket > self.brackets:
            return self.highest
        return self.cliff + self.increment * bracket
