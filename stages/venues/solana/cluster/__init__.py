"""The state of the cluster: consensus, features, length of a slot, rents, blockhashes.

Imports `rpc` and `transaction`. Public: every module.
"""
