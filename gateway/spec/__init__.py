"""What is promised: operations, OpenAPI, AsyncAPI, documents, the Postman collection.

Imports no handler: the tables that requests are checked by are in `parsing` and `middleware`.
Public: `openapi`, `asyncapi`, `markdown`, `html`, `postman`.
"""
