"""What a person at a terminal is shown, and who that is.

Imports `client`, and no process or server of ours. Public: every module.
"""
