"""Transactions: programs, messages, versions, keys, signing. Pure but for reading the key.

Imports the contract of pools, and asks no node. Public: every module.
"""
