"""Orders and events as public JSON, and the schemas of it. Pure.

Imports no other room. Public: every module.
"""
