"""How every stage is run: inbox, retries, append, quarantine.

Imports the log and `limits`, and no stage, trigger or venue. Public: `stage` (the protocol),
`runner`, `retry`.
"""
