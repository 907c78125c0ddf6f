"""Variables of the shell that must not change what the engine does.

asyncpg reads the variables of libpq for everything that a URL leaves open: a PGSSLMODE or PGHOST
exported for psql would change how, and where, the engine connects. The settings alone say that.
PYTHONPATH and PYTHONHOME would change which code runs.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_LIBPQ = (
    "PGAPPNAME", "PGCHANNELBINDING", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATA",
    "PGDATABASE", "PGDATESTYLE", "PGGEQO", "PGGSSDELEGATION", "PGGSSENCMODE", "PGGSSLIB", "PGHOST",
    "PGHOSTADDR", "PGKRBSRVNAME", "PGLOADBALANCEHOSTS", "PGLOCALEDIR", "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION", "PGOPTIONS", "PGPASSFILE", "PGPASSWORD", "PGPORT", "PGREQUIREAUTH",
    "PGREQUIREPEER", "PGREQUIRESSL", "PGSERVICE", "PGSERVICEFILE", "PGSSLCERT", "PGSSLCERTMODE",
    "PGSSLCOMPRESSION", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLKEY", "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION", "PGSSLMODE", "PGSSLNEGOTIATION", "PGSSLROOTCERT", "PGSSLSNI",
    "PGSYSCONFDIR", "PGTARGETSESSIONATTRS", "PGTZ", "PGUSER",
)  # fmt: skip


_PYTHON = (
    "PYTHONHOME", "PYTHONINSPECT", "PYTHONMALLOC", "PYTHONNOUSERSITE", "PYTHONOPTIMIZE",
    "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONWARNINGS",
)  # fmt: skip


def leave_out(environ: MutableMapping[str, str], *, isolated: bool) -> None:
    """Removes the variables of libpq, for this process and its children.

    `isolated`: whether this interpreter was started with -I, as `.venv/bin/engine` does. It ignores
    the variables of Python then, and its children must not see them either.
    """
    for name in (*_LIBPQ, *(_PYTHON if isolated else ())):
        environ.pop(name, None)
