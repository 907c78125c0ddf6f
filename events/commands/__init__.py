"""What people do outside of the pipeline: to orders, keys, parked orders and orders in doubt.

Each loads a head, decides and appends at its version. Imports log and archive, and no audit.
Public: every module.
"""
