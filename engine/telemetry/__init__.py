"""Logs, traces and the name of the build.

Imports no other room of the engine. Public: every module.
"""
