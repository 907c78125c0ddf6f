"""The folder tree is the architecture: who may import whom, and which door leads outside."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
OURS = ("engine", "events", "gateway", "projections", "stages")
MAY_IMPORT = {
    "events": set(),
    "stages": {"events"},
    "projections": {"events"},
    "gateway": {"projections", "events"},
    "engine": {"events", "gateway", "projections", "stages"},
}
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


def modules() -> list[tuple[str, str]]:
    """Every (file, imported module) of the product."""
    found = []
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            file = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found += [(file, alias.name) for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found += [(file, node.module)]
                    found += [(file, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def test_packages_import_only_what_lies_below_them() -> None:
    wrong = [
        (file, module)
        for file, module in modules()
        for package, target in [(file.split("/")[0], module.split(".")[0])]
        if target in OURS and target != package and target not in MAY_IMPORT[package]
    ]
    assert not wrong


def test_each_backend_has_one_door() -> None:
    wrong = [
        (file, module)
        for file, module in modules()
        for library, doors in DOORS.items()
        if module.split(".")[0] == library and not file.startswith(doors)
    ]
    assert not wrong


def test_only_venues_and_the_engine_are_clients_of_http() -> None:
    wrong = [
        (path.relative_to(ROOT).as_posix(), name)
        for name, doors in CLIENTS.items()
        for package in OURS
        for path in (ROOT / package).rglob("*.py")
        if not path.relative_to(ROOT).as_posix().startswith(doors)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if name in (getattr(node, "attr", None), getattr(node, "name", None))
    ]
    assert not wrong


def test_stages_know_neither_each_other_nor_a_venue() -> None:
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
    wrong = []
    for package in OURS[1:]:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"):
                    wrong.append(path.relative_to(ROOT).as_posix())
    assert not wrong


def test_nothing_is_named_for_not_knowing_what_it_is() -> None:
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
    "engine/client/transport.py": "the header of a request",
    "engine/commands/keys.py": "a new key, printed once",
    "engine/commands/settings.py": "whether the wallet's key is a file",
    "engine/commands/up.py": "the URL of our own local chain",
    "engine/doctor/archive.py": "to connect",
    "engine/doctor/chain.py": "the host of a node",
    "engine/doctor/machine.py": "whether the wallet's key is a file",
    "engine/embedded/localnet.py": "the port of our own local chain",
    "engine/telemetry/otlp.py": "to connect",
    "engine/telemetry/scrubbing.py": "what is to be masked",
    "engine/settings.py": "the environment of a child, and whether a URL is one",
    "events/archive/pool.py": "to connect",
    "events/commands/api_keys.py": "the digest of a key",
    "events/log/redis/link.py": "to connect",
    "events/secret.py": "the encoder of the log",
    "gateway/api/audit_worker.py": "its own standard input",
    "projections/postgres/migrate.py": "to connect",
    "projections/postgres/projector.py": "to connect",
    "projections/postgres/rebuild.py": "to connect",
    "stages/venues/simulated/chain.py": "to execute a transaction",
    "stages/venues/solana/chain.py": "the version of what a node refused",
    "stages/venues/solana/transaction/keypair.py": "the wallet itself",
    "stages/venues/solana/outcomes/outcomes.py": "what was sent, to tell what it did",
    "stages/venues/solana/rpc/methods.py": "to send a transaction",
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
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_secrets_are_revealed_only_where_they_are_used() -> None:
    found = {
        file
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    }
    assert found == set(REVEAL_IN)


def test_nothing_that_logs_or_answers_reveals_a_secret() -> None:
    """No secret is revealed within a call of a logger, an f-string of an error, or a print."""
    wrong = []
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in LOGGING:
                wrong += [(file, node.lineno) for one in ast.walk(node) if _reveals(one)]
            if isinstance(node, ast.Raise):
                wrong += [(file, node.lineno) for one in ast.walk(node) if _reveals(one)]
    assert not wrong


LOGGING = ("debug", "info", "warning", "error", "exception", "critical")


def _reveals(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("reveal", "_value")


KEPT = {
    ("events/types.py", "raw"),
    ("events/order/state.py", "raw"),
    ("stages/venues/__init__.py", "raw"),
    ("events/commands/api_keys.py", "text"),
}
"""Fields of other names: a signed transaction, and the text of a key."""


def test_what_opens_a_door_has_the_type_of_secrets() -> None:
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
    assert {one for one in wrong if one[0] not in OWN_SERVERS} == ALLOWED


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


def test_settings_that_open_doors_have_the_type_of_secrets() -> None:
    for field in msgspec.structs.fields(Settings):
        words = set(field.name.split("_"))
        if words & {"url", "endpoint", "key", "keypair", "token", "password", "secret", "headers"}:
            assert "Secret" in str(field.type), field.name
