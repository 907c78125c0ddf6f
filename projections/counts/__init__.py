"""How many events of each kind the log has.

Imports `feed` to read the log. Public: `counter`.
"""
