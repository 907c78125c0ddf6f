"""Commands of people: on orders, parked ones, doubts, API keys and the engine switch.

Each module has pure deciders, from a state to the events that follow, and runs them by `execute`:
load, decide, append. Imports log and archive, and no audit. Public: every module.
"""
