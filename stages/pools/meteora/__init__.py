"""Meteora's pool programs, each a family.

Imports nothing of this engine. Public: the families.
"""
