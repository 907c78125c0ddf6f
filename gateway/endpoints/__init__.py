"""The endpoints: one entry each, from which router, authorization and documents are made.

Imports handlers and everything below them, and neither `spec` nor `app`. Public: `table`,
`endpoint`, `handlers`.
"""
