"""The composition root: each long-running process is put together in a file of its own.

Each `run_…` returns once `stop` is set and what it began has ended, within the times of
`stop_times`. The URLs in `settings` are never empty here: the commands have filled them in. A
command imports the file of its process when it runs, so that a process loads only what it needs.

Imports every room but the commands, the client and the terminal. Public: `make_log`, `tune`, the
`run_…` of each file, `signing_stages` and `keys_required`.
"""
