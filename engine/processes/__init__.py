"""Processes: starting, supervising, ending with their parent, signals, signs of life.

Imports `telemetry`, and nothing that a process does. Public: every module.
"""
