"""HTTP and WebSocket: writes orders into the log, and serves orders and events.

Imports projections and events, and no stage. Public: `app.make_app`, `options.GatewayOptions`.
"""
