"""Limits: how many orders start a minute and are in venue calls at once, over all workers.

Imports the log, and no stage. Public: `limiter`.
"""
