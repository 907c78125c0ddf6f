"""Raydium's pool programs, each a family: CPMM and AMM v4 here, CLMM beside them."""
