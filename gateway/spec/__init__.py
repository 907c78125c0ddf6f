"""The documents made from the endpoints: OpenAPI, AsyncAPI, Markdown, HTML. Pure.

Imports `endpoints` and `schemas`, and no handler.
Public: `openapi`, `asyncapi`, `markdown`, `html`.
"""
