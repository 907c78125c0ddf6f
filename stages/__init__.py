"""What the engine does about it: a stage hears of an order, asks a venue, decides, appends.

Imports events. Public: the four stages, what settles a parked order, and the rooms.
"""
