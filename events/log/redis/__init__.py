"""The connection to the log's server, its functions and its keys.

Imports no other part of the log. Public: nothing; others come in by `events.log`.
"""
