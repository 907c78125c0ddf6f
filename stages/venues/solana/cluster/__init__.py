"""The state of the cluster: consensus, features, length of a slot, rents, blockhashes.

Imports `rpc` and `transaction`, and no account or outcome. Public: every module.
"""
