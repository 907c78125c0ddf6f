"""The handlers, one file a resource.

Imported by `app` only; the engine also uses `exposition`. Public: what `app` binds.
"""
