"""The programs of the chain: a file each, a function each, in plain Python.

Not in `solders.litesvm`: it has the four small programs, but none of the swap programs, and a
transaction has to do both or nothing. State would go back and forth between two owners for each
instruction, and undo, forks and older commitments would need a copy besides. The rules of the
small programs are short; `test_localnet_programs.py` runs the same transactions
through litesvm and compares balances, errors and compute units.

Imports state, and no bank. Public: every module, to `execute`.
"""
