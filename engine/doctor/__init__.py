"""`engine doctor`: looks at everything an engine stands on, and says how to mend what is wrong.

Imports no command. Public: a module a subject, whose findings `engine doctor` prints.
"""
