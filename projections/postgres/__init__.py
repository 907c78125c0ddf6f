"""The projector: the log folded into Postgres, and the tables made anew.

Imports no other room. Public: `projector`, `migrate`, `rebuild`, `order_rows`.
"""
