"""What a log is made of again: the pure rules, and the writing under a fence.

Imports the log, and the losses of the archive; no audit: what it knows is an argument. Public:
every module.
"""
