"""Long-lived responses over the feed: WebSockets and Server-Sent Events.

Imports no handler. Public: `websocket`, `sse`, `connections`.
"""
