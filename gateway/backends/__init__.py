"""What log and archive are doing, and what a client is told while one does not answer.

Imports `http`, and no handler or middleware. Public: `health`, `backend_errors`, `engine_status`.
"""
