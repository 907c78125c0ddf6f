"""What DATABASE_URL and REDIS_URL may hold, and how anything else is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import backend_urls, shell
from engine.commands import up
from engine.embedded.data_dir import RunState
from engine.setting_parser import SettingsError
from engine.settings_loader import environment, load, notices

PG = "postgresql://ann@h/db"
REDIS = "redis://h:6379/0"


@pytest.mark.parametrize(
    ("url", "clean", "dropped"),
    [
        (PG, PG, ()),
        ("postgres://ann:p%40w@h:5432/db", "postgres://ann:p%40w@h:5432/db", ()),
        (f"{PG}?channel_binding=require", PG, ("channel_binding",)),
        (f"{PG}?connect_timeout=10", PG, ("connect_timeout",)),
        (f"{PG}?sslmode=prefer&gssencmode=disable", f"{PG}?sslmode=prefer", ("gssencmode",)),
        (f"{PG}?keepalives=1&keepalives_idle=30", PG, ("keepalives", "keepalives_idle")),
        (f"{PG}?pgbouncer=true&connection_limit=1", PG, ("pgbouncer", "connection_limit")),
        (f"{PG}?schema=public", PG, ("schema",)),
        (f"{PG}?sslmode=disable&sslrootcert=&service=", f"{PG}?sslmode=disable", ()),
        (f"{PG}?client_encoding=UTF-8", f"{PG}?client_encoding=utf8", ()),
        (f"{PG}?options=endpoint%3Dx", f"{PG}?options=endpoint%3Dx", ()),
        (f"{PG}?options=-c%20jit%3Doff", f"{PG}?options=-c%20jit%3Doff", ()),
        (f"{PG}?my.guc=1", f"{PG}?my.guc=1", ()),
        ("postgresql:///db?host=%2Frun&user=a", "postgresql:///db?host=%2Frun&user=a", ()),
        ("postgresql://a@%2Frun%2Fpg/db", "postgresql://a@%2Frun%2Fpg/db", ()),
        ("postgresql://a@h1:1,h2:2/db", "postgresql://a@h1:1,h2:2/db", ()),
        ("postgresql://a@[::1]:5432/db", "postgresql://a@[::1]:5432/db", ()),
    ],
)  # fmt: skip
def test_a_database_url_keeps_what_asyncpg_takes(
    url: str, clean: str, dropped: tuple[str, ...]
) -> None:
    assert backend_urls.postgres(url) == (clean, dropped)
    assert backend_urls.postgres(clean) == (clean, ()), "a child process reads it again"


@pytest.mark.parametrize(
    ("url", "clean", "dropped"),
    [
        (REDIS, REDIS, ()),
        ("redis://:pw@h", "redis://:pw@h", ()),
        (f"{REDIS}?protocol=3&socket_timeout=5", REDIS, ("protocol", "socket_timeout")),
        (f"{REDIS}?decode_responses=true", REDIS, ("decode_responses",)),
        (f"{REDIS}?client_name=my%20app", REDIS, ("client_name",)),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "rediss://h?ssl_cert_reqs=none", ()),
        ("unix:///run/valkey.sock?db=2", "unix:///run/valkey.sock?db=2", ()),
        ("unix:///a%3Fb/valkey.sock", "unix:///a%3Fb/valkey.sock", ()),
    ],
)
def test_a_redis_url_keeps_what_the_client_takes(
    url: str, clean: str, dropped: tuple[str, ...]
) -> None:
    assert backend_urls.redis(url) == (clean, dropped)
    assert backend_urls.redis(clean) == (clean, ())


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("DATABASE_URL", "mysql://a:hunter2@b/c", "expected one of postgresql://, postgres://"),
        ("DATABASE_URL", "postgres+asyncpg://a:hunter2@b/c", "expected one of postgresql://"),
        ("DATABASE_URL", "localhost/engine", "expected a URL"),
        ("DATABASE_URL", "postgresql://a:hunter2@h:x/db", "expected"),
        ("DATABASE_URL", "postgresql://a:hunter2@h:99999/db", "expected a port"),
        ("DATABASE_URL", "postgresql://a:12?hunter2@h/db", "expected a URL"),
        ("DATABASE_URL", "postgresql://a:12?hunter2=x@h/db", "expected a URL"),
        ("DATABASE_URL", "postgresql://a:12/hunter2@h/db", "expected a URL"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?sslmode=always", "sslmode: expected one of"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?sslmod=require", "the nearest is sslmode"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?port=x", "port: expected a port"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?sslrootcert=/no/ca", "/no/ca: No such file"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?client_encoding=latin1", "expected UTF8"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?service=x", "service cannot be used"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?hostaddr=1.2.3.4", "hostaddr cannot be"),
        ("DATABASE_URL", "postgresql://a:hunter2@h/db?schema=mine", "use search_path"),
        ("REDIS_URL", "http://a:hunter2@h", "expected one of redis://"),
        ("REDIS_URL", "redis+sentinel://a:hunter2@h", "expected one of redis://"),
        ("REDIS_URL", "redis://:12?hunter2=x@h", "expected a URL"),
        ("REDIS_URL", "redis://:12/hunter2@h", "expected a URL"),
        ("REDIS_URL", "redis://a:hunter2@h/mine", "number of a database"),
        ("REDIS_URL", "redis://a:hunter2@h:0", "expected a port"),
        ("REDIS_URL", "redis://a:hunter2@h?db=x", "db: expected a whole number"),
        ("REDIS_URL", "redis://a:hunter2@h?ssl_cert_reqs=none", "needs rediss://"),
        ("REDIS_URL", "rediss://a:hunter2@h?ssl_cert_reqs=maybe", "expected one of none"),
        ("REDIS_URL", "rediss://a:hunter2@h?ssl_ca_certs=/no/ca", "/no/ca: No such file"),
        ("REDIS_URL", "redis://a:hunter2@h?databse=1", "unknown parameter 'databse'"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line_without_its_login(
    name: str, url: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name}: ") as error:
        load({name: url}, None)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)


def test_what_has_no_effect_is_reported_once(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"DATABASE_URL={PG}?connect_timeout=10&channel_binding=require\n")
    given = {"REDIS_URL": f"{REDIS}?protocol=3"}
    assert notices(given, file) == [
        "DATABASE_URL: connect_timeout, channel_binding has no effect here",
        "REDIS_URL: protocol has no effect here",
    ]
    assert notices(environment(load(given, file)), None) == [], "its children need not repeat it"


def test_a_password_of_its_own_wins_over_the_one_in_the_url() -> None:
    passwords = {"DATABASE_PASSWORD": "p@/:w", "REDIS_PASSWORD": "r#?"}
    urls = {"DATABASE_URL": "postgresql://a:old@h/db", "REDIS_URL": "redis://h:1/0"}
    settings = load(urls | passwords, None)
    assert settings.database_url.reveal() == "postgresql://a:p%40%2F%3Aw@h/db"
    assert settings.redis_url.reveal() == "redis://:r%23%3F@h:1/0"
    assert load(environment(settings), None) == settings


@pytest.mark.parametrize("name", ["API_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD", "REDIS_URL"])
def test_a_secret_may_be_in_a_file(tmp_path: Path, name: str) -> None:
    secret = "redis://h" if name == "REDIS_URL" else "hunter2"
    (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + secret.encode() + b"\r\n")
    settings = load({f"{name}_FILE": str(tmp_path / "secret")}, None)
    assert getattr(settings, name.lower()).reveal() == secret
    (tmp_path / ".env").write_text(f"{name}_FILE='{tmp_path / 'secret'}'\n")
    assert getattr(load({}, tmp_path / ".env"), name.lower()).reveal() == secret


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "DATABASE_PASSWORD",
        "DATABASE_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "REDIS_PASSWORD",
        "REDIS_URL",
        "SOLANA_RPC_URL",
    ],
)
def test_a_child_that_inherits_the_name_of_the_file_gets_the_same_settings(
    tmp_path: Path, name: str
) -> None:
    secrets = {"DATABASE_URL": PG, "REDIS_URL": REDIS}
    http = "http://h" if name.endswith(("ENDPOINT", "RPC_URL")) else "hunter2"
    (tmp_path / "secret").write_text(secrets.get(name, http))
    given = {f"{name}_FILE": str(tmp_path / "secret")}
    settings = load(given, None)
    assert load(given | environment(settings), None) == settings
    file = tmp_path / ".env"
    file.write_text(f"{name}_FILE='{tmp_path / 'secret'}'\n")
    assert load(environment(load({}, file)), file) == settings


def test_a_password_stays_with_the_url_of_the_user_and_not_with_an_embedded_server() -> None:
    passwords = {"DATABASE_PASSWORD": "pw", "REDIS_PASSWORD": "pw"}
    embedded = ("unix:///run/valkey.sock", "postgresql://postgres@/db?host=%2Frun")
    servers = RunState(1, *embedded)
    inside = up.on_servers(load(passwords, None), servers)
    child = load(environment(inside), None)
    assert (child.redis_url.reveal(), child.database_url.reveal()) == embedded
    for name in ("REDIS", "DATABASE"):
        url = {"REDIS": REDIS, "DATABASE": PG}[name]
        settings = up.on_servers(load({**passwords, f"{name}_URL": url}, None), servers)
        child = load(environment(settings), None)
        assert getattr(child, f"{name.lower()}_password").reveal() == "pw"
        urls = (child.redis_url.reveal(), child.database_url.reveal())
        assert [":pw@" in url for url in urls] == [name == "REDIS", name == "DATABASE"]


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff"])
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^API_KEY_FILE='{path}': "):
        load({"API_KEY_FILE": str(path)}, None)


def test_a_secret_is_not_given_twice(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a")
    with pytest.raises(SettingsError, match="API_KEY and API_KEY_FILE are both set"):
        load({"API_KEY": "b", "API_KEY_FILE": str(tmp_path / "key")}, None)


def test_variables_of_libpq_are_left_out_and_others_stay() -> None:
    environ = {"PGHOST": "h", "PGSSLMODE": "require", "PGSERVICE": "s", "PATH": "/bin", "PGX": "1"}
    shell.leave_out(environ, isolated=False)
    assert environ == {"PATH": "/bin", "PGX": "1"}


def test_children_of_an_isolated_interpreter_see_no_variables_of_python() -> None:
    environ = {"PYTHONPATH": "p", "PYTHONHOME": "h", "LANG": "C"}
    shell.leave_out(environ, isolated=False)
    assert "PYTHONPATH" in environ
    shell.leave_out(environ, isolated=True)
    assert environ == {"LANG": "C"}
