"""Log lines and texts of errors that every package writes alike.

Imports `events`, and no other room. Public: `error_text`, `outages`.
"""
