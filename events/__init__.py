"""What can happen, what it means, and where it is written.

Imports nothing of ours but itself. Public: `types`, `ids`, `money`, `secret`, `best_quote`,
`metrics`, and the rooms.
"""
