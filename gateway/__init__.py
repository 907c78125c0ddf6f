"""The door: HTTP and WebSocket. It writes orders into the log and shows what became of them.

Imports projections and events. Public: `app.make_app`, `options.GatewayOptions`.
"""
