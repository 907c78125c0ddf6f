"""Valkey, Postgres and the local chain of this machine, under DATA_DIR, found by commands.

Imports `processes`, and no command. Public: `databases`, `data_dir`, `backends`, `stores`,
`localnet`.
"""
