"""The JSON-RPC of a Solana node, as far as trading needs it. A method is a line of a table."""
