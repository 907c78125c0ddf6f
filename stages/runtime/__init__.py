"""How every stage is run: inbox, retries, rate limits, append, quarantine.

Imports the log, and no stage, trigger or venue. Public: `stage` (the protocol), `runner`, `retry`.
"""
