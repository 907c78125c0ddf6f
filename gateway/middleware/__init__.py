"""Middleware around every handler: origin, key, rate limit, permission, ownership.

Imports `http`, `parsing` and `backends`, and no handler. Public: every module.
"""
