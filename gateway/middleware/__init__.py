"""What happens to every request before its handler: origin, key, rate, permission, ownership.

Imports `http`, `parsing` and `backends`, and no handler. Public: every module.
"""
