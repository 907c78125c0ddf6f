"""Raydium: constant product (CPMM, AMM v4) and concentrated liquidity (CLMM)."""
