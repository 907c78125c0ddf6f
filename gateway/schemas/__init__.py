"""The JSON Schemas of request bodies and of response bodies.

Imports `http` and `parsing`, and no handler. Public: every module.
"""
