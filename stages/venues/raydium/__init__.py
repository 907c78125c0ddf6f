"""The pool programs of Raydium: CPMM, AMM v4 and CLMM."""
