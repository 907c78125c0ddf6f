"""The folder tree is the architecture: who may import whom, and which door leads outside.

A folder is a room. A file that binds rooms together is a room of its own.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import msgspec

from engine.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "events", "gateway", "projections", "stages")
PACKAGES = {
    "events": set[str](),
    "stages": {"events"},
    "projections": {"events"},
    "gateway": {"projections", "events"},
    "engine": {"events", "gateway", "projections", "stages"},
}
"""Package -> the packages that it may import."""

EVENTS = ("events", "events/order", "events/streams", "events/types.py", "events/hash_chain.py")
LOG = (*EVENTS, "events/metrics.py", "events/telemetry", "events/log")
STORES = (*LOG, "events/archive")
ROOMS: dict[str, tuple[str, ...]] = {
    # Lowest first. The rooms of other packages are in the second line.
    "events": (),
    "events/order": ("events",),
    "events/streams": ("events", "events/order"),
    "events/types.py": ("events", "events/order", "events/streams"),
    "events/hash_chain.py": ("events", "events/order", "events/streams", "events/types.py"),
    "events/metrics.py": EVENTS,
    "events/telemetry": ("events",),
    "events/log/redis": (*EVENTS, "events/telemetry"),
    "events/log": (*EVENTS, "events/metrics.py", "events/telemetry", "events/log/redis"),
    "events/archive": LOG,
    "events/commands": STORES,
    "events/audit": (*STORES, "events/commands", "events/recovery"),
    "events/recovery": STORES,
    # Pools import the codes of `events.reason_codes`, and nothing else of it.
    "stages/pools": ("events",),
    "stages/pools/meteora": (),
    "stages/pools/meteora/damm_v2": ("events", "stages/pools"),
    "stages/pools/meteora/dlmm": ("events", "stages/pools"),
    "stages/pools/raydium": ("stages/pools",),
    "stages/pools/raydium/amm_v4": ("stages/pools", "stages/pools/raydium"),
    "stages/pools/raydium/clmm": ("stages/pools", "stages/pools/raydium"),
    "stages/pools/raydium/cpmm": ("stages/pools", "stages/pools/raydium"),
    "stages/pools/families.py": ("stages/pools", "stages/pools/*"),
    "stages/routing": ("events", "stages/pools"),
    "stages/limits": ("events", "events/log"),
    "stages/runtime": (*LOG, "stages/limits"),
    "stages/venues": (*EVENTS, "stages/runtime"),
    "stages/venues/simulated": (
        *EVENTS, "events/telemetry", "stages/runtime", "stages/venues",
    ),
    "stages/venues/solana/transaction": ("events", "stages/pools", "stages/venues"),
    "stages/venues/solana/rpc": (
        "events", "events/metrics.py", "events/telemetry",
        "stages/venues", "stages/venues/solana/transaction",
    ),
    "stages/venues/solana/cluster": (
        "events/metrics.py",
        "stages/venues", "stages/venues/solana/transaction", "stages/venues/solana/rpc",
    ),
    "stages/venues/solana/accounts": (
        "events", "events/telemetry",
        "stages/pools", "stages/venues", "stages/venues/solana/transaction",
        "stages/venues/solana/rpc", "stages/venues/solana/cluster",
    ),
    "stages/venues/solana/outcomes": (
        *EVENTS, "events/telemetry",
        "stages/pools", "stages/venues", "stages/venues/solana/transaction",
        "stages/venues/solana/rpc", "stages/venues/solana/cluster",
        "stages/venues/solana/accounts",
    ),
    "stages/venues/solana/budget": (
        *LOG,
        "stages/pools", "stages/venues", "stages/venues/solana/transaction",
        "stages/venues/solana/rpc", "stages/venues/solana/cluster",
        "stages/venues/solana/accounts", "stages/venues/solana/outcomes",
    ),
    "stages/venues/solana": (
        *EVENTS,
        "stages/pools", "stages/routing", "stages/runtime", "stages/venues",
        "stages/venues/solana/*",
    ),
    "stages/triggers": (*LOG, "stages/limits", "stages/runtime", "stages/venues"),
    "stages": (*EVENTS, "events/telemetry", "stages/runtime", "stages/venues"),
    "projections": (),
    "projections/views": EVENTS,
    "projections/feed": (*STORES, "projections/views"),
    "projections/postgres": STORES,
    "projections/traces": (*STORES, "projections/views", "projections/feed"),
    "gateway/http": ("events", "events/order", "projections/views"),
    "gateway/parsing": (
        *STORES, "events/commands", "projections/views", "projections/feed", "gateway/http",
    ),
    "gateway/backends": (
        *STORES, "events/audit", "projections/views", "projections/feed", "gateway/http",
    ),
    "gateway/middleware": (
        *LOG, "events/commands", "projections/feed",
        "gateway/http", "gateway/parsing", "gateway/backends",
    ),
    "gateway/streaming": (
        *STORES, "projections/feed",
        "gateway/http", "gateway/parsing", "gateway/backends", "gateway/middleware",
    ),
    "gateway/schemas": ("events/order", "projections/views", "gateway/http", "gateway/parsing"),
    "gateway/api": (
        "events/*", "projections/*", "gateway/http", "gateway/parsing", "gateway/backends",
        "gateway/middleware", "gateway/streaming",
    ),
    "gateway/endpoints": (
        "projections/views", "gateway/http", "gateway/parsing", "gateway/schemas",
        "gateway/backends", "gateway/middleware", "gateway/streaming", "gateway/api",
    ),
    "gateway/spec": (
        "events", "events/order", "events/streams", "events/types.py",
        "projections/views", "projections/feed",
        "gateway/http", "gateway/parsing", "gateway/middleware", "gateway/schemas",
        "gateway/endpoints",
    ),
    "gateway/options.py": (
        "events", "events/log", "projections/feed", "gateway/backends", "gateway/middleware",
        "gateway/api",
    ),
    "gateway/app.py": ("events/*", "projections/feed", "gateway/*"),
    "gateway": (),
    "engine": ("events",),
    "engine/telemetry": ("events", "events/telemetry", "projections/traces", "engine"),
    "engine/processes": ("events", "gateway/api", "engine", "engine/telemetry"),
    "engine/venues": ("events", "projections/views", "stages/*", "engine"),
    "engine/recovery/recreation": ("events/*", "engine/telemetry"),
    "engine/recovery": (
        "events/*", "projections/postgres", "gateway/api", "stages/*",
        "engine", "engine/venues", "engine/telemetry", "engine/recovery/recreation",
    ),
    "engine/composition": (
        "events/*", "projections/*", "gateway/*", "stages/*",
        "engine", "engine/venues", "engine/processes", "engine/recovery", "engine/telemetry",
    ),
    "engine/localnet/state": (
        "stages/pools", "stages/venues", "stages/venues/solana/transaction",
    ),
    "engine/localnet/programs": ("stages/pools", "stages/pools/*", "engine/localnet/state"),
    "engine/localnet/genesis": (
        "stages/pools/*", "engine/localnet/state", "engine/localnet/programs",
    ),
    "engine/localnet": (
        "events", "events/telemetry", "stages/pools", "stages/venues", "stages/venues/simulated",
        "engine/localnet/state", "engine/localnet/programs", "engine/localnet/genesis",
    ),
    "engine/localnet/rpc": ("events", "events/telemetry", "engine/localnet", "engine/localnet/*"),
    "engine/embedded": (
        *STORES, "projections/postgres", "stages/venues/solana/transaction",
        "engine", "engine/composition", "engine/processes", "engine/localnet",
        "engine/localnet/*",
    ),
    "engine/client": (
        "events", "events/types.py", "projections/views", "gateway/schemas", "engine",
        "engine/embedded",
    ),
    "engine/terminal": (
        *LOG, "projections/views", "projections/feed", "engine", "engine/client",
    ),
    "engine/documents": ("gateway/parsing", "gateway/endpoints"),
    "engine/doctor": (
        *STORES, "events/audit", "stages/runtime", "stages/venues/solana/*",
        "engine", "engine/venues", "engine/composition", "engine/processes",
        "engine/recovery", "engine/embedded", "engine/client", "engine/terminal", "gateway/http",
        "events/commands", "projections/views",
    ),
    "engine/commands": ("events/*", "projections/*", "gateway/*", "stages/*", "engine/*"),
    "engine/cli.py": ("engine", "engine/commands", "engine/processes", "engine/telemetry"),
    "engine/__main__.py": ("engine/cli.py", "engine/processes"),
}  # fmt: skip
"""Room -> the rooms that it may import, for a type as well; `x/*` is `x` and all within."""

FILES_MAX = 16
"""Of a room, besides its `__init__.py`."""
MANY_FILES = {"engine/commands", "events/order/events", "projections/views/payloads"}
"""One command is one file, and nothing lists them; one event is one file."""

LINES_MAX = 350
"""Of a file."""
LONG_FILES = {"events/reasons.py": "one table, a row for each code"}
"""The files that are longer, and why."""

# A backend's library -> the files and folders that may import it.
DOORS = {
    # Who audits or rebuilds what the server holds asks it by commands of its own.
    "redis": ("events/log/", "events/audit/inventory.py", "events/recovery/", "engine/"),
    "hiredis": ("events/log/", "engine/"),
    "prometheus_client": ("gateway/api/exposition.py",),
    "opentelemetry": ("engine/telemetry/otlp.py",),
    "asyncpg": ("projections/postgres/", "events/archive/", "engine/"),
    "sqlite3": ("stages/venues/", "engine/localnet/"),
    "solders": ("stages/pools/", "stages/venues/", "engine/"),
}
# The client of a library whose server others may use, by its name.
CLIENTS = {"ClientSession": ("stages/venues/", "engine/")}


def files() -> list[str]:
    """Every file of the product."""
    return [
        path.relative_to(ROOT).as_posix()
        for package in OURS
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


@cache
def tree_of(file: str) -> ast.Module:
    """The file, parsed once for all tests."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


@cache
def modules() -> list[tuple[str, str]]:
    """Every (file, imported module) of the product, wherever in the file, for types as well."""
    result = []
    for file in files():
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Import):
                result += [(file, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                result += [(file, node.module)]
                result += [(file, f"{node.module}.{alias.name}") for alias in node.names]
    return result


@cache
def imports() -> set[tuple[str, str]]:
    """Every (file, file) of the project, the second imported by the first.

    `from a import b` imports `a/b.py` where that is a file, else `a`.
    """
    ours = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file
            for file in files()}  # fmt: skip
    result = set()
    for file in files():
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                below = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in ours else node.module for name in below]
            else:
                continue
            result |= {(file, ours[name]) for name in names if name in ours}
    return result


PART_OF = {
    "events/order/events": "events/order",
    "events/streams/events": "events/streams",
    "projections/views/payloads": "projections/views",
}
"""Folders that do not count as rooms: they have one file an event."""


def room_of(file: str) -> str:
    """Itself, or its folder."""
    folder = file.rpartition("/")[0]
    return file if file in ROOMS else PART_OF.get(folder, folder)


def circle(arrows: set[tuple[str, str]]) -> list[str]:
    """A way back to where it began, or nothing."""
    graph: dict[str, set[str]] = {}
    for from_, to in arrows:
        graph.setdefault(from_, set()).add(to)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_packages_import_only_packages_below_them() -> None:
    wrong = [
        (file, module)
        for file, module in modules()
        for package, target in [(file.split("/")[0], module.split(".")[0])]
        if target in OURS and target != package and target not in PACKAGES[package]
    ]
    assert not wrong


def test_rooms_import_only_the_rooms_of_the_table() -> None:
    wrong = [
        (file, target)
        for file, target in sorted(imports())
        for room, other in [(room_of(file), room_of(target))]
        if room != other
        and other not in ROOMS[room]
        and not any(
            item.endswith("/*") and f"{other}/".startswith(item.removesuffix("*"))
            for item in ROOMS[room]
        )
    ]
    assert not wrong
    assert {room_of(file) for file in files()} == set(ROOMS)


def test_nothing_imports_in_a_circle() -> None:
    """Neither files nor rooms, for a type or within a function."""
    assert not circle(imports())
    rooms = {(room_of(file), room_of(target)) for file, target in imports()}
    assert not circle({(room, other) for room, other in rooms if room != other})


def test_a_package_is_small_and_names_its_imports_and_public_names() -> None:
    counts = Counter(
        file.rpartition("/")[0] for file in files() if not file.endswith("/__init__.py")
    )
    assert {room for room, count in counts.items() if count > FILES_MAX} == MANY_FILES
    silent = []
    for file in files():
        if file.endswith("/__init__.py"):
            text = ast.get_docstring(tree_of(file)) or ""
            if "Imports" not in text or "Public:" not in text:
                silent.append(file)
    assert not silent


def test_files_are_short() -> None:
    lengths = {
        file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files()
    }
    assert {file for file, length in lengths.items() if length > LINES_MAX} == set(LONG_FILES)


def test_the_log_is_entered_by_its_front() -> None:
    wrong = [
        (file, target)
        for file, target in sorted(imports())
        if target.startswith("events/log/")
        and target != "events/log/__init__.py"
        and not file.startswith("events/log/")
    ]
    assert not wrong


def test_each_backend_library_is_imported_in_one_place() -> None:
    wrong = [
        (file, module)
        for file, module in modules()
        for library, doors in DOORS.items()
        if module.split(".")[0] == library and not file.startswith(doors)
    ]
    assert not wrong


def test_only_venues_and_the_engine_are_clients_of_http() -> None:
    wrong = [
        (file, name)
        for name, doors in CLIENTS.items()
        for file, tree in trees()
        if not file.startswith(doors)
        for node in ast.walk(tree)
        if name in (getattr(node, "attr", None), getattr(node, "name", None))
    ]
    assert not wrong


def test_stages_import_neither_each_other_nor_a_venue() -> None:
    stages = {
        *(f"stages.{name}" for name in ("router", "builder", "submitter", "confirmer")),
        "stages.triggers.watcher",
    }
    wrong = [
        (file, module)
        for file, module in modules()
        if file.removesuffix(".py").replace("/", ".") in stages
        and (
            any(module == stage or module.startswith(f"{stage}.") for stage in stages)
            or module.startswith(("stages.venues.simulated", "stages.venues.solana"))
        )
    ]
    assert not wrong


def test_only_the_engine_reads_the_environment() -> None:
    wrong = [
        file
        for file, tree in trees()
        if not file.startswith("engine/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert not wrong


def test_no_name_is_a_placeholder() -> None:
    vague = {"utils", "util", "core", "common", "helpers", "helper", "manager", "misc"}
    wrong = [
        path
        for package in (*OURS, "tests")
        for path in (ROOT / package).rglob("*.py")
        if path.stem in vague or vague & set(path.relative_to(ROOT).parts)
    ]
    assert not wrong


# -- secrets ---------------------------------------------------------------------------------------

REVEAL_IN = {
    "engine/backend_urls.py": "a password, into its URL",
    "engine/client/transport.py": "the header of a request",
    "engine/commands/keys.py": "a new key, printed once",
    "engine/commands/settings.py": "whether the wallet's key is a file",
    "engine/commands/up.py": "the URL of the local chain",
    "engine/doctor/archive.py": "to connect",
    "engine/doctor/chain.py": "the host of a node",
    "engine/doctor/machine.py": "whether the wallet's key is a file",
    "engine/embedded/localnet.py": "the port of the local chain",
    "engine/telemetry/otlp.py": "to connect",
    "engine/telemetry/scrubbing.py": "what is to be masked",
    "engine/settings_loader.py": "the environment of a child, and whether a URL is one",
    "events/archive/connect.py": "to connect",
    "events/archive/pool.py": "to connect",
    "events/commands/api_keys.py": "the digest of a key",
    "events/log/redis/link.py": "to connect",
    "events/secret.py": "the encoder of the log",
    "gateway/api/audit_worker.py": "its own standard input",
    "projections/postgres/migrate.py": "to connect",
    "projections/postgres/silence.py": "to connect",
    "projections/postgres/rebuild.py": "to connect",
    "stages/venues/simulated/chain.py": "to execute a transaction",
    "stages/venues/solana/chain.py": "the version of what a node refused",
    "stages/venues/solana/transaction/keypair.py": "the wallet itself",
    "stages/venues/solana/outcomes/details.py": "what was sent, to tell what it did",
    "stages/venues/solana/rpc/transaction_methods.py": "to send a transaction",
    "stages/venues/solana/rpc/node.py": "to connect, and the host of a node",
    "stages/venues/solana/rpc/survey.py": "the host of a node",
}
"""The files that take a secret out of its type, and what for."""
OPENS_DOORS = re.compile(
    r"(api_?key|password|passwd|secret|keypair|credential|dsn|webhook|authorization"
    r"|redis_url|database_url|rpc_url|otlp_endpoint)s?$"
)
OWN_SERVERS = {"engine/embedded/data_dir.py", "engine/embedded/databases.py"}
"""They name sockets in DATA_DIR: the embedded servers have no passwords."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every file of the product."""
    for file in files():
        yield file, tree_of(file)


def test_secrets_are_revealed_only_where_they_are_used() -> None:
    files = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    }
    assert files == set(REVEAL_IN)


def test_nothing_that_logs_or_answers_reveals_a_secret() -> None:
    """No secret is revealed within a call of a logger, an f-string of an error, or a print."""
    wrong = []
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in LOGGING:
                wrong += [(file, node.lineno) for item in ast.walk(node) if _reveals(item)]
            if isinstance(node, ast.Raise):
                wrong += [(file, node.lineno) for item in ast.walk(node) if _reveals(item)]
    assert not wrong


LOGGING = ("debug", "info", "warning", "error", "exception", "critical")


def _reveals(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("reveal", "_value")


KEPT = {
    ("events/order/events/transaction_built.py", "raw"),
    ("events/order/state.py", "raw"),
    ("stages/venues/__init__.py", "raw"),
    ("events/commands/api_keys.py", "text"),
}
"""Fields of other names: a signed transaction, and the text of a key."""


def test_credentials_have_the_type_of_secrets() -> None:
    """Fields and parameters of such names."""
    wrong = []
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name, kind = node.target.id, ast.unparse(node.annotation)
                kept = (file, name) in KEPT
            elif isinstance(node, ast.arg) and node.annotation is not None:
                name, kind, kept = node.arg, ast.unparse(node.annotation), False
            else:
                continue
            if (kept or OPENS_DOORS.search(name)) and "Secret" not in kind:
                wrong.append((file, name, kind))
    assert {item for item in wrong if item[0] not in OWN_SERVERS} == ALLOWED


ALLOWED = {
    ("events/commands/api_keys.py", "secret", "str"),  # on its way into a digest
    (
        "stages/venues/solana/transaction/keypair.py",
        "keypair",
        "Keypair",
    ),  # a wallet shows its address
    ("stages/venues/solana/transaction/keypair.py", "secret", "bytes"),  # on its way into a wallet
    ("stages/venues/solana/rpc/faults.py", "secrets", "tuple[str, ...]"),  # to take them out
}


def test_settings_that_may_hold_credentials_have_the_type_of_secrets() -> None:
    for field in msgspec.structs.fields(Settings):
        words = set(field.name.split("_"))
        if words & {"url", "endpoint", "key", "keypair", "token", "password", "secret", "headers"}:
            assert "Secret" in str(field.type), field.name
