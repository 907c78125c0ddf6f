"""Embedded servers: Valkey, Postgres and the local chain, as child processes under DATA_DIR.

Imports `processes`, and no command. Public: `databases`, `data_dir`, `backends`, `stores`,
`localnet`.
"""
