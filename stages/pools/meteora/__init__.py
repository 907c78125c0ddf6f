"""Meteora's pool programs, each a family.

Imports `contract` and what goes with it. Public: the families.
"""
