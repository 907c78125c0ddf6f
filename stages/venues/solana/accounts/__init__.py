"""The watched accounts: pools, tokens, their balances now and a moment ago.

Imports `rpc` and `cluster`, and builds nothing. Public: `cache`, `history`, `pools_file`.
"""
