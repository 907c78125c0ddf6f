"""A `.env` file is read as Docker Compose reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.dotenv_file import entries
from engine.setting_parser import SettingsError
from engine.settings_loader import load


def read(folder: Path, content: str | bytes, **environ: str) -> dict[str, str]:
    path = folder / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return {entry.name: entry.value for entry in entries(path, environ)}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b", "b"),
        ("  A=b  ", "b"),
        ("export A=b", "b"),
        ("export   A='b'", "b"),
        ("A=", ""),
        ("A=''", ""),
        ("A= # why", ""),
        ("A=b # why", "b"),
        ("A=b#c", "b#c"),
        ("A=b\t# why", "b"),
        ('A="b"', "b"),
        ('A="b" # why', "b"),
        ('A="b"# why', "b"),
        ("A='b' # why", "b"),
        ('A="b # c"', "b # c"),
        ('A="b # c" # why', "b # c"),
        ("A='b # c' # it's", "b # c"),
        ('A="b=c"', "b=c"),
        ("A=b=c", "b=c"),
        ("A=b c", "b c"),
        (r'A="b\"c"', 'b"c'),
        (r"A='b\'c'", "b'c"),
        (r'A="b\nc"', "b\nc"),
        (r"A='b\nc'", r"b\nc"),
        ('A="b\nc"', "b\nc"),
        ("A='b\n# c'", "b\n# c"),
        ("A=b\"c'd", "b\"c'd"),
        ("A=ü€", "ü€"),
    ],
)
def test_a_value_is_read_as_compose_reads_it(tmp_path: Path, line: str, value: str) -> None:
    assert read(tmp_path, f"{line}\nZ=last\n") == {"A": value, "Z": "last"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${HERE}", "there"),
        ("$HERE/x", "there/x"),
        ('"${HERE}-x"', "there-x"),
        ("'${HERE}'", "${HERE}"),
        ("'$HERE' # $HERE", "$HERE"),
        ("${EARLIER}", "before"),
        ("${NOWHERE}", ""),
        ("${NOWHERE:-x y}", "x y"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${HERE:-x}", "there"),
        ("${HERE:+x}", "x"),
        ("${NOWHERE:+x}", ""),
        ("$$HERE", "$HERE"),
        (r'"\$HERE"', "$HERE"),
        ("a$", "a$"),
        ("pa$1word", "pa$1word"),
    ],
)
def test_variables_are_expanded_unless_between_single_quotes(
    tmp_path: Path, value: str, expected: str
) -> None:
    results = read(tmp_path, f"EARLIER=before\nA={value}\n", HERE="there", EMPTY="")
    assert results["A"] == expected


def test_the_environment_wins_in_an_expansion(tmp_path: Path) -> None:
    assert read(tmp_path, "P=file\nA=${P}\n", P="shell")["A"] == "shell"


def test_a_required_variable_that_is_missing_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r":2: PW is not set: see the vault$"):
        read(tmp_path, "\nA=${PW:?see the vault}\n")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("POOLS=$nowhere/pools.toml", "POOLS names $nowhere that is not set: write $$"),
        ("POOLS=${nowhere}/pools.toml", "POOLS names $nowhere that"),
        ('ACCOUNT="${nowhere}"', "ACCOUNT names $nowhere that"),
        ("SOLANA_RPC_URL=${nowhere}", "SOLANA_RPC_URL names a variable that"),
        ("DATABASE_PASSWORD=pa$word", "DATABASE_PASSWORD names a variable that"),
        ("REDIS_URL=redis://u:pa$word@h", "REDIS_URL names a variable that"),
    ],
)
def test_a_variable_that_is_not_set_is_an_error_and_no_empty_text(
    tmp_path: Path, line: str, named: str
) -> None:
    (tmp_path / ".env").write_text(f"\n{line}\n")
    with pytest.raises(SettingsError) as error:
        load({}, tmp_path / ".env")
    assert f".env:2: {named}" in str(error.value)
    assert "word" not in str(error.value).replace("PASSWORD", "")
    name = line.partition("=")[0]
    value = "redis://h" if name == "REDIS_URL" else "https://h" if "RPC" in name else "x"
    load({name: value}, tmp_path / ".env")  # the environment has it: the line is not used


@pytest.mark.parametrize(
    "line",
    ["POOLS=$$nowhere", "POOLS='$nowhere'", "POOLS=${nowhere:-}", "POOLS=${nowhere-x}",
     "POOLS=${nowhere:+x}", "POOLS=a$", "POOLS=a$1", "COMPOSE_FILE=$nowhere"],
)  # fmt: skip
def test_an_intended_dollar_sign_is_accepted(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"{line}\n")
    load({}, tmp_path / ".env")


@pytest.mark.parametrize(
    "content",
    [
        b"PORT=3100\nACCOUNT=desk",
        b"\xef\xbb\xbfPORT=3100\nACCOUNT=desk\n",
        b"\xef\xbb\xbf# mine\r\nPORT=3100\r\nACCOUNT=desk\r\n",
        b"PORT=3100\rACCOUNT=desk\r",
        b"PORT=\"3100\"\r\nACCOUNT='desk' # why\r\n",
        b"\r\n\r\n  \r\nPORT=3100\r\n\r\nACCOUNT=desk",
        "\ufeffPORT=3100\r\nACCOUNT=desk\r\n".encode("utf-16-le"),
        "\ufeffPORT=3100\r\nACCOUNT=desk\r\n".encode("utf-16-be"),
    ],
)
def test_any_byte_order_mark_and_any_line_end_is_read(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == {"PORT": "3100", "ACCOUNT": "desk"}


@pytest.mark.parametrize(
    ("content", "line", "hint"),
    [
        ("PORT 3\n", 1, "expected KEY=value"),
        ("# a\n\n\nPORT\n", 4, "expected KEY=value"),
        ('ACCOUNT="desk\n', 1, "the closing quote"),
        ("A=b\n\nACCOUNT='desk' x\n", 3, "the closing quote"),
    ],
)
def test_an_invalid_line_is_named_by_number(
    tmp_path: Path, content: str, line: int, hint: str
) -> None:
    with pytest.raises(SettingsError, match=rf"\.env:{line}: .*{hint}") as error:
        read(tmp_path, content)
    assert "desk" not in str(error.value), "the value may be a secret"


@pytest.mark.parametrize("content", [b"A=\xff\n", b"A\x00=b\n"])
def test_a_file_that_is_not_text_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SettingsError, match=r"\.env: not "):
        read(tmp_path, content)


def test_settings_come_from_such_a_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b'\xef\xbb\xbfLOG_LEVEL="debug" # loud\r\nPOOLS="my # pools.toml" # mine\r\n')
    settings = load({}, path)
    assert (settings.log_level, settings.pools) == ("debug", "my # pools.toml")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.symlink_to("/proc/self/mem")  # root may open every file, but address 0 is not mapped
    with pytest.raises(SettingsError, match=f"^{path}: Input/output error$"):
        load({}, path)
    path = tmp_path / ("x" * 300)
    with pytest.raises(SettingsError, match=f"^{path}: File name too long$"):
        load({}, path)
    assert load({}, tmp_path / "missing") == load({}, None)
