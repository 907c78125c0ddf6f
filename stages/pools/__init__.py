"""The arithmetic of pool programs: decode, quote, swap, instruction, errors. Pure, in integers.

Imports no other package of this repository. Public: `contract`, and `families`, the table of them.
"""
