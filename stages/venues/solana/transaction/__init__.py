"""Transactions: programs, messages, versions, keys, signing. Pure but for reading the key.

Asks no node. Public: every module.
"""
