"""What stays open: WebSockets and Server-Sent Events over the feed.

Imports no handler. Public: `websocket`, `sse`, `connections`.
"""
