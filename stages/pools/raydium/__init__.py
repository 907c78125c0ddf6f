"""Raydium: constant product (CPMM, AMM v4) and concentrated liquidity (CLMM).

Imports `contract` and what goes with it. Public: the families.
"""
