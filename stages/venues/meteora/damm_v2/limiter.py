"""The rate limiter (base fee mode 2): a fee that grows with the size of a purchase.

For a time after activation an input of b is charged in brackets of the reference amount x: the
first at the cliff fee c, each further one at i more, up to a highest fee (docs.meteora.ag, rate
limiter math). It applies only where the fee is taken from the input.

That page gives the fee as a sum over brackets; the program applies one rate to the whole amount.
How the sum becomes that rate is written nowhere and in no vector we hold: here both divisions round
up, as all that the pool charges does. Amounts up to x pay c, whatever the rounding.
"""

from __future__ import annotations

import msgspec

from stages.venues.pool import PPB


class Limiter(msgspec.Struct, frozen=True, gc=False):
    """Brackets of a fee, per 1e9 of what lies within them."""

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
        """The rate of the least input that leaves `net` after brackets."""
        return self.of_included(self._least_including(net))

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

    def _least_including(self, net: int) -> int:
        """The least amount that leaves `net`: first its bracket, by halving, then within it."""
        low, high = 0, self.brackets + 1
        while low < high:
            middle = (low + high + 1) // 2
            start = middle * self.reference
            if start * PPB - self._charge(start) < net * PPB:
                low = middle
            else:
                high = middle - 1
        start = low * self.reference
        missing = net * PPB - (start * PPB - self._charge(start))
        return start - (-missing // (PPB - self._rate(low)))
