"""The handlers, one file a resource.

Imports every room of the gateway; only `app` imports it, and the engine for `exposition` and
`parked`. Public: what `app` binds.
"""
