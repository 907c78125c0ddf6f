"""What it looks like to those who ask: folds of the log, each of which can be rebuilt from it.

Imports events. Public: the rooms.
"""
