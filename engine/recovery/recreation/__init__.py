"""What a lost log is recreated from, and the plan of what is written.

`gather` reads the archive and the leftovers of the log; `plan` is pure. `recreate_log`, one room
up, carries the plan out.

Imports events and the build's id; no chain and no command. Public: every module.
"""
