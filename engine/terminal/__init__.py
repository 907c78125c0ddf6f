"""Terminal output and arguments, and the name of the operator.

Imports `client`, and no process. Public: every module.
"""
