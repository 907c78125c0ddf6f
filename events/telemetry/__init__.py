"""Log lines that every package writes alike.

Imports `events`, and no other room. Public: `outages`.
"""
