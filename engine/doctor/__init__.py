"""`engine doctor`: checks everything an engine depends on, and suggests how to repair faults.

Imports no command. Public: a module a subject, whose findings `engine doctor` prints.
"""
