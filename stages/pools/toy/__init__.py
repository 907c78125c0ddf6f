"""A DEX that shows what a new one takes; its program exists on the local chain only.

Imports `stages.pools`, and no other DEX. Public: `constant`.
"""
