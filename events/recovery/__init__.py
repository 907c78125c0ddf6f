"""Rebuilding a log: the pure rules, and the writes behind a fence.

Imports the log, and the losses of the archive, but no audit: findings are arguments. Public: every
module.
"""
