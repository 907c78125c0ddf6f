"""The watched accounts: which pools and tokens there are, what they hold, and held a moment ago.

Imports `rpc` and `cluster`, and builds nothing. Public: `cache`, `history`, `pools_file`.
"""
