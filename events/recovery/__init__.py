"""What a log is made of again: the pure rules, and the writing under a fence.

Imports the log, and no archive or audit: what these know is an argument. Public: every module.
"""
