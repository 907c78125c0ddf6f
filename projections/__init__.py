"""Read models: folds of the log, each of which can be dropped and rebuilt from it.

Imports events, and no stage. Public: the rooms.
"""
