"""The parts of every response: problems, JSON bodies, headers, the HTTP protocol.

Imports `events` and `projections.views`, and no other room of the gateway. Public: `problems`,
`responses`, `response_headers`, `protocol`.
"""
