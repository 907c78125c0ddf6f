"""Limit and sniper orders: the books of all pairs, held against ticks and pool events.

Imports `runtime` and the protocols of `venues`, and no stage. Public: `watcher`
(decides), `runner`.
"""
