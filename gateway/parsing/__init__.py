"""Parsing and validation of requests: bodies, fields, query parameters, headers. Pure.

Imports `http`, and no handler or middleware. Public: every module.
"""
