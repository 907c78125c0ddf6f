"""The outcomes of transactions: statuses, errors, balances, the chain's record.

Imports `rpc`, `cluster` and `accounts`, and sends nothing. Public: `outcomes`, `executed`,
`recorded`.
"""
