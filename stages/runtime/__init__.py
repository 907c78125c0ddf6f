"""How a stage is run: inbox, retries, pacing, append, quarantine. The same for every stage.

Imports the log, and no stage, trigger or venue. Public: `stage` (the
protocol), `runner`, `retry`.
"""
