"""Events as OpenTelemetry spans.

Imports `feed` to follow the log; knows no exporter's library. Public: `spans`, `exporter`.
"""
