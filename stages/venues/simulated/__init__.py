"""The simulation: venues whose prices are drawn from a seed, and a chain that is a ledger."""
