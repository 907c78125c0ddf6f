"""What a local chain holds: accounts, blocks, transactions, and a view of them.

Imports the arithmetic of pools, and no program. Public: every module.
"""
