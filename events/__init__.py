"""Events: what they are, what they fold to, and the log and archive that store them.

Imports no other package. Public: `types`, `ids`, `money`, `secret`, `best_quote`, `metrics`, and
the rooms.
"""
