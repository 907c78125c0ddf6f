"""The connection to the log's server, its functions and its keys.

Imports no other part of the log. Public: nothing; other rooms import `events.log`.
"""
