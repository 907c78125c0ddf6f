"""A Solana chain of one process: real account bytes, real transactions, real JSON-RPC, loopback.

`bank` keeps accounts and blocks, `programs` executes instructions, `node` takes transactions and
makes blocks, `rpc` serves it, `store` has its files and the ledger that tests count by.

Imports the arithmetic of pools, and no stage or venue that trades on it. Public: `open`, `ledger`
and `rpc.server`.
"""
