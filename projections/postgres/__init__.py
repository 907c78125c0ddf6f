"""The projector and its read models: the log folded into Postgres, and the tables rebuilt.

Imports no other room. Public: `projector`, `migrate`, `rebuild`, `order_rows`.
"""
