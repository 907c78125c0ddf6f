"""Live events: every subscriber gets past events, then new ones, in order.

Imports `views`. Public: `feed`, `subscription`, `order_follower`, `history_reader`, `cursors`.
"""
