"""Documents that only `engine docs` writes: the Postman collection. Pure.

Imports the endpoints of the gateway, and no handler. Public: `postman`.
"""
