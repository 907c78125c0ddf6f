"""The simulation: venues whose prices are drawn from a seed, and a chain that is a ledger.

Imports the protocols of `venues`, and no pool or chain. Public: `venue`, `chain`, `ledger`.
"""
