"""Live events: every subscriber gets what happened, then what happens, in order.

Imports `views`. Public: `feed`, `subscription`, `order_follower`, `history_reader`, `cursors`.
"""
