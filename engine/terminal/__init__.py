"""Terminal output and arguments, and the name of the operator.

Imports `client`, and no process or server of ours. Public: every module.
"""
