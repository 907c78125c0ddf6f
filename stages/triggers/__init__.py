"""Triggers: the books of limit and sniper orders, which are compared with ticks and pool events.

Imports `limits`, `runtime` and the protocols of `venues`, and no stage. Public: `watcher` (the
decisions and the stage), `runner`.
"""
