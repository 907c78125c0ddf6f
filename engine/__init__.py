"""The composition root and the command line: the only code that reads the environment.

Imports every package; none imports it. Public: the command `engine`, and `client` for programs.
"""
