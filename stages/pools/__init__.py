"""The arithmetic of pool programs: decode, quote, swap, instruction, errors. Pure, in integers.

Imports nothing of ours. Public: `contract`, and `families`, the table of them.
"""
