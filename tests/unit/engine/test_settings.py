"""What a person who sets something wrongly is told."""

from decimal import Decimal
from pathlib import Path

import pytest

from engine import cli, settings_reference
from engine.setting_parser import SettingsError
from engine.settings import Settings
from engine.settings_loader import environment, load

ROOT = Path(__file__).parents[3]


def test_the_defaults_are_the_documented_values() -> None:
    settings = load({}, None)
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 3000, Path(".data"))
    assert (settings.concurrency, settings.orders_per_minute, settings.max_attempts) == (10, 100, 3)
    assert (settings.venues, settings.venue_failure_rate) == (("raydium", "meteora"), Decimal(0))


def test_settings_round_trip_through_the_environment_of_a_child_process() -> None:
    results = {"PORT": "4000", "VENUES": "a, b", "VENUE_FAILURE_RATE": "0.25", "DATA_DIR": "a b"}
    settings = load(results, None)
    assert settings.venues == ("a", "b")
    assert load(environment(settings), None) == settings


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "x", "a whole number from 1 to 65535"),
        ("PORT", "70000", "a whole number from 1 to 65535"),
        ("CONCURRENCY", "-1", "a whole number of at least 0"),
        ("LOG_LEVEL", "loud", "one of debug, error, info, warning"),
        ("VENUE_FAILURE_RATE", "NaN", "a decimal from 0 to 1"),
        ("VENUE_FAILURE_RATE", "1.01", "a decimal from 0 to 1"),
        ("VENUE_FAILURE_RATE", "often", "a decimal number"),
        ("VENUES", ",", "`array` of length >= 1"),
        ("RETRY_MAX_MS", "1", "at least RETRY_BASE_MS=500"),
    ],
)
def test_a_malformed_value_is_reported_with_the_expected_form(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load({name: value}, None)
    assert str(error.value).endswith(f"expected {expected}")
    assert str(error.value).startswith(f"{name}=")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# a comment\n\nexport PORT='4000'  \nACCOUNT=\"x # y\"\nHOST=::1 # why\nPOSTGRES_DB=x\n"
    )
    settings = load({"HOST": "::"}, file)
    assert (settings.port, settings.account, settings.host) == (4000, "x # y", "::")


def test_an_empty_value_counts_as_absent() -> None:
    assert load({"PORT": " "}, None).port == Settings().port


def test_an_unknown_key_in_the_file_names_the_nearest_setting(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("CONCURENCY=3\n")
    with pytest.raises(SettingsError, match="unknown setting CONCURENCY; the nearest is CONCURR"):
        load({}, file)
    file.write_text("PORT 3\n")
    with pytest.raises(SettingsError, match=":1: expected KEY=value"):
        load({}, file)


def test_a_former_setting_name_is_refused_with_its_current_name(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("RUN_AHEAD=0\n")
    with pytest.raises(SettingsError, match=":1: RUN_AHEAD was renamed: set FUSE_STAGES instead"):
        load({}, env_file=tmp_path / "env")
    with pytest.raises(SettingsError, match=r"^RUN_AHEAD was renamed: set FUSE_STAGES instead"):
        load({"RUN_AHEAD": "0"}, env_file=None)
    assert load({"RUN_AHEAD": "", "FUSE_STAGES": "0"}, env_file=None).fuse_stages is False


def test_the_example_file_is_that_of_the_code() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == settings_reference.dotenv(), (
        "stale: engine settings --dotenv > .env.example"
    )


@pytest.mark.parametrize("gap", [",", ", "])
def test_a_key_is_never_shown_however_it_is_written(
    gap: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLANA_KEYPAIR", "[" + gap.join(["200"] * 64) + "]")
    cli.main(["settings"])
    shown = capsys.readouterr()
    assert "SOLANA_KEYPAIR=***" in shown.out
    assert f"200{gap}200" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://:hunter2@host"),
        ("REDIS_URL", "redis://u:hunter2/x@host"),
        ("DATABASE_URL", "postgresql://u:hunter2#x@host/db"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:hunter2?x@host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://hunter2@host"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4318"),
        ("SOLANA_RPC_URL", "hunter2"),
        ("SOLANA_RPC_URL", "https://good.example,ftp://host/hunter2"),
        ("SOLANA_RPC_URL", "https://host:hunter2"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: expected") as error:
        load({name: value}, None)
    assert "hunter2" not in str(error.value)


def test_a_home_folder_of_an_unknown_user_is_named() -> None:
    with pytest.raises(SettingsError, match="SOLANA_KEYPAIR: ~ has no home folder"):
        load({"SOLANA_KEYPAIR": "~no-such-user/id.json"}, None)
