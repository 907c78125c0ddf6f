"""Output of the commands for a terminal, and the name of its user.

Imports `client`, and no process or server of the engine. Public: every module.
"""
