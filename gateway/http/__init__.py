"""What every answer is made of: problems, JSON bodies, headers, the HTTP protocol.

Imports `projections.views`, and no other room of the gateway. Public: `problems`, `responses`,
`response_headers`, `protocol`.
"""
