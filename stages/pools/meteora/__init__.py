"""Meteora's pool programs, each a family: DAMM v2 here, DLMM beside it."""
