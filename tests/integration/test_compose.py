"""compose.yaml, as a platform engineer reads it: what is published, bounded, allowed and secret."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis

from engine.embedded import binaries
from tests.support.waits import until_blocking

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def compose_config(**environ: str) -> dict[str, Any]:
    """compose.yaml with all profiles, as Compose understands it without a `.env`."""
    command = [
        str(Path(sys.executable).with_name("docker-compose")),
        "-f",
        str(ROOT / "compose.yaml"),
    ]
    options = ["--env-file", os.devnull, "--profile", "*", "config", "--format", "json"]
    env = {"PATH": os.environ["PATH"], **environ}
    run = subprocess.run([*command, *options], env=env, check=True, capture_output=True)
    config: dict[str, Any] = json.loads(run.stdout)
    return config


def test_compose_publishes_on_loopback_only_and_pins_every_image() -> None:
    services = compose_config()["services"]
    published = {name for name, service in services.items() if "ports" in service}
    assert published == {"gateway", "jaeger", "prometheus", "alertmanager", "grafana"}
    for name in published:
        assert {port["host_ip"] for port in services[name]["ports"]} == {"127.0.0.1"}
    images = {service["image"] for service in services.values()} - {"order-execution-engine"}
    assert all(re.search(r":v?\d+\.?\d*[\w.-]*$", image) for image in images), images


def test_every_container_is_read_only_bounded_and_without_capabilities() -> None:
    for name, service in compose_config()["services"].items():
        assert service.get("read_only") is True, name
        assert service.get("cap_drop") == ["ALL"], name
        assert service.get("security_opt") == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["pids_limit"] > 0, name


def test_no_container_has_a_password_in_its_environment_or_its_command() -> None:
    config = compose_config(POSTGRES_PASSWORD="hunter2")
    assert "hunter2" not in json.dumps(config)
    for name in ("gateway", "projector", "router"):
        service = config["services"][name]
        secrets = {secret["source"] for secret in service["secrets"]}
        assert {"valkey_password", "postgres_password"} <= secrets
        assert service["environment"]["DATABASE_PASSWORD_FILE"] == "/run/secrets/postgres_password"
        assert service["environment"]["REDIS_PASSWORD_FILE"] == "/run/secrets/valkey_password"


def test_the_image_runs_as_a_user_with_a_number() -> None:
    assert re.search(r"^USER \d+:\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_image_is_labelled_as_the_project_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = re.findall(
        r'org\.opencontainers\.image\.(\w+)="([^"]+)"', (ROOT / "Dockerfile").read_text()
    )
    assert dict(labels) == {
        "title": project["name"],
        "description": project["description"],
        "version": project["version"],
        "licenses": project["license"],
    }


def test_valkey_starts_with_its_password_by_the_command_of_compose(tmp_path: Path) -> None:
    """The command of compose.yaml, with the server and the paths of this machine."""
    server = binaries.valkey()
    [_, _, script] = compose_config()["services"]["valkey"]["command"]
    (tmp_path / "secret").write_text("p w\n")
    script = script.replace("$$", "$").replace("/run/secrets/valkey_password", "secret")
    socket = tmp_path / "s"
    script = script.replace("valkey-server", f"{server} --port 0 --unixsocket {socket}")
    process = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        until_blocking(socket.exists, "the socket of Valkey")
        refused = pytest.raises(redis.AuthenticationError)
        with redis.Redis(unix_socket_path=str(socket)) as anonymous, refused:
            anonymous.ping()
        with redis.Redis(unix_socket_path=str(socket), password="p w") as client:
            assert client.ping()
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
    finally:
        process.terminate()
        process.wait(30)
    assert process.returncode == 0, "SIGTERM reaches the server itself"


def test_passwords_are_made_once_and_taken_over_from_env(tmp_path: Path) -> None:
    folder = tmp_path / "deploy" / "secrets"
    folder.mkdir(parents=True)
    shutil.copy(DEPLOY / "secrets" / "create", folder)
    (tmp_path / ".env").write_text('POSTGRES_PASSWORD="before"\n')
    passwords = []
    for _ in range(2):
        subprocess.run(["sh", folder / "create"], check=True, env={"PATH": os.environ["PATH"]})
        passwords.append(
            [(folder / f"{name}_password").read_text() for name in ("valkey", "postgres")]
        )
    assert passwords[0] == passwords[1]
    assert passwords[0][1] == "before\n"
    assert re.fullmatch(r"[0-9a-f]{48}\n", passwords[0][0])
