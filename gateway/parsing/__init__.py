"""From text to values, all faults at once: bodies, fields, query parameters, headers. Pure.

Imports `http`, and no handler or middleware. Public: every module.
"""
