"""What people do outside of the pipeline: to orders, parked or in doubt ones, keys and the engine.

Each module has pure deciders, from a state to the events that follow, and runs them by `execute`:
load, decide, append. Imports log and archive, and no audit. Public: every module.
"""
