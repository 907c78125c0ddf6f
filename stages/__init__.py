"""The stages of an order: each takes orders from an inbox, asks a venue, decides and appends.

Imports events, and no projection. Public: router, builder, submitter, confirmer, settlement, and
the packages.
"""
