"""Solana: the chain that Raydium and Meteora share. JSON-RPC, accounts, transactions, outcomes."""
