"""The handlers, one file a resource.

Imports `http`, `parsing`, `backends`, `middleware` and `streaming`; only `endpoints` and `app`
import it, and the engine for `exposition`, `parked` and `audits`. Public: what `app` binds.
"""
