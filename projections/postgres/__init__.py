"""The projector: the log folded into Postgres, and the tables rebuilt.

Imports no other room. Public: `projector`, `migrate`, `rebuild`, `order_rows`.
"""
