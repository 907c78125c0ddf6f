"""The arithmetic of pool programs: decode, quote, swap, instruction, errors. Pure, in integers.

Imports the reason codes of `events`, and no venue or route. Public: `contract`, and `families`, the
table of them.
"""
