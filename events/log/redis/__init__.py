"""The connection to the log's server, its functions and its keys.

Imports no other part of the log. Public to the log, to audit and recovery; others come in by
`events.log`.
"""
