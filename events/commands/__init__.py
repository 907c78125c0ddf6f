"""Commands of clients and operators: on orders, parked orders, doubts, API keys and the engine.

Each module has pure deciders, from a state to new events, and runs them with `execute`: load,
decide, append. Imports log and archive, and no audit. Public: every module.
"""
