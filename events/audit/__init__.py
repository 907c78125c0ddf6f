"""What must hold of log, archive and all that is kept beside them, and how it is checked.

Imports log, archive and commands, and repairs nothing. Public: `verify`, `proof`, `replay`,
`status_counts`.
"""
