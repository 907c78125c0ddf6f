"""The state of log and archive, and the problems of requests while one does not answer.

Imports `http`, and no handler or middleware. Public: `health`, `backend_errors`, `engine_status`.
"""
