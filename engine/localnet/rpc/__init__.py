"""The JSON-RPC of a Solana node, as far as trading needs it. Each method is a row of a table.

Imports the chain; nothing but the command `engine localnet` imports it. Public: `server`.
"""
