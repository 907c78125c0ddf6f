"""Solana: the chain that Raydium and Meteora share. JSON-RPC, accounts, transactions, outcomes.

Imports `pools` and `routing`, and no stage. Public: `venue` and `chain`; the engine also makes the
parts of `rpc`, `cluster` and `accounts`.
"""
