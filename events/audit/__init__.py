"""The audit: checks the log, the archive and everything derived from them against the events.

Imports log, archive, commands and the index tables of `events/recovery`; repairs nothing. Public:
`verify`, `proof`, `replay`, `status_counts`.
"""
