"""How a lost or damaged log is written again: pure rules, and the writing under a fence.

Imports the log, the archive and its losses, and no audit: findings are arguments. Public: every
module.
"""
