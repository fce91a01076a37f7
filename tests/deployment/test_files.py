"""Dockerfile, fly.toml, compose.yaml and the unit of systemd agree with each other and with the settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from configparser import RawConfigParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package
from obstore import put

from files.s3 import open_store
from scripts.machine import supervisor
from settings import ALL_SERVICES, Settings, read
from tests.deployment import dockerfile
from tests.deployment.dockerfile import ROOT
from tests.support import object_store
from tests.support.object_store import ObjectStore

UNIT = ROOT / "scripts" / "machine" / "vidprod.service"
REAP_S = 5.0  # after the supervisor's own deadline: processes that were killed end, the database is closed
NOT_IN_THE_IMAGE = (
    "tests/",
    "scripts/benchmarks/",
    "scripts/documentation/",
    "scripts/fault_injection/",
    "docs/",
    ".git",
)


def compose() -> dict[str, Any]:  # Any: YAML
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["vidprod"]
    return found


def scaled() -> dict[str, Any]:  # Any: YAML
    """Return the services of compose.scale.yaml that run VidProd."""
    found = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["services"]
    return {name: service for name, service in found.items() if service["image"] == "vidprod"}


def fly() -> dict[str, Any]:  # Any: TOML
    return tomllib.loads((ROOT / "fly.toml").read_text())


def unit() -> dict[str, str]:
    parser = RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep upper case
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def seconds(value: str) -> float:
    return float(value.removesuffix("s"))


def test_every_stage_is_built_from_an_image_with_a_digest() -> None:
    """A tag alone means another image tomorrow."""
    images = [stage.image for stage in dockerfile.stages()]
    assert len(images) == 2
    assert [image for image in images if not re.search(r"@sha256:[0-9a-f]{64}$", image)] == []


def test_no_program_of_the_image_needs_what_the_image_leaves_out() -> None:
    """165 MiB of ffmpeg, which MoviePy runs in a benchmark."""
    [install] = [line for line in dockerfile.stages()[0].values("RUN") if "pip" in line]
    assert dockerfile.removed_folders() == ["lib/python3.11/site-packages/imageio_ffmpeg/binaries"]
    assert "rm -r" in install  # in the same layer, or the image would still hold it
    importing = re.compile(r"^\s*(?:import|from) (?:moviepy|imageio)", re.MULTILINE)
    files = [path for path in dockerfile.copied_files() if path.suffix == ".py"]
    assert len(files) > 300
    assert [str(path) for path in files if importing.search((ROOT / path).read_text())] == []


def test_the_image_has_the_program_and_neither_tests_nor_benchmarks_nor_caches() -> None:
    files = {str(path) for path in dockerfile.copied_files()}
    assert {"settings.py", "scripts/machine/serve.py", "frontend/index.html", "scripts/doctor"} <= files
    assert [path for path in files if path.startswith(NOT_IN_THE_IMAGE)] == []
    assert dockerfile.is_ignored("media/__pycache__/limits.cpython-311.pyc")
    assert dockerfile.is_ignored(".env")


def test_the_user_is_a_number_so_that_it_can_be_seen_not_to_be_root() -> None:
    user, group = dockerfile.stages()[-1].user
    created = " ".join(dockerfile.stages()[-1].values("RUN"))
    assert user > 0
    assert f"--uid {user} --gid {group}" in created
    assert f"groupadd --gid {group}" in created
    assert f"chown {user}:{group}" in (ROOT / "README.md").read_text()


def test_each_deployment_waits_until_the_supervisor_has_stopped_everything() -> None:
    limits_s = {
        "fly": seconds(fly()["kill_timeout"]),
        "compose": seconds(compose()["stop_grace_period"]),
        "systemd": seconds(unit()["TimeoutStopSec"]),
    }
    needed_s = supervisor.STOP_WITHIN_S + REAP_S
    assert {name: limit_s for name, limit_s in limits_s.items() if limit_s < needed_s} == {}


def test_fly_keeps_the_data_on_its_volume_and_swaps_to_its_own_disk() -> None:
    config = fly()
    assert [mount["destination"] for mount in config["mounts"]] == [config["env"]["DATA_DIR"]]
    assert str(config["http_service"]["internal_port"]) == config["env"]["PORT"]
    assert config["swap_size_mb"] == 512
    assert config["http_service"]["auto_stop_machines"] == "off"  # suspending, which swap excludes, is not used
    assert config["kill_signal"] == dockerfile.stages()[-1].values("STOPSIGNAL")[0]


def test_variables_of_the_deployments_are_settings() -> None:
    known = {name.upper() for name in Settings.model_fields} | {"PYTHONUNBUFFERED", "PATH"}
    in_unit = {pair.partition("=")[0] for pair in unit()["Environment"].split()}
    assert {*dockerfile.stages()[-1].environ, *fly()["env"], *in_unit} - known == set()


def test_compose_takes_every_right_that_the_container_test_does_without() -> None:
    service = compose()
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["data:/data"]
    assert "tmpfs" not in service


def test_the_machines_of_compose_have_the_same_rights_and_together_all_services() -> None:
    alike = {"build", "init", "read_only", "cap_drop", "security_opt", "env_file", "restart", "stop_grace_period"}
    for service in scaled().values():
        assert {name: service[name] for name in alike} == {name: compose()[name] for name in alike}
        assert service["volumes"] == ["/data"]  # of each container its own
        assert ("healthcheck" in service) == (service["environment"]["SERVICES"] != "api")  # the image asks the API
    assert sorted(service["environment"]["SERVICES"] for service in scaled().values()) == sorted(ALL_SERVICES)


def test_the_machines_of_compose_have_settings_that_are_accepted() -> None:
    chosen = {"POSTGRES_PASSWORD": "letters1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    file = {"PUBLIC_URL": "https://videos.example.com", "SECRET_KEY": "s" * 16, "API_KEYS": "k" * 16}
    for service in scaled().values():
        environ = {
            name: re.sub(r"\$\{(\w+):\?\}", lambda found: chosen[found[1]], value)
            for name, value in service["environment"].items()
        }
        settings = read(dockerfile.stages()[-1].environ | chosen | file | environ)
        assert settings.is_postgresql
        assert settings.is_remote


def proxy_configuration() -> str:
    """Return the configuration of the proxy of compose.scale.yaml."""
    found: str = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["configs"]["caddy"]["content"]
    return found


def test_the_bucket_of_compose_exists_after_every_start(server: ObjectStore) -> None:
    """The machines wait for a success; `docker compose up` runs it at each start, also of an old storage."""
    service = yaml.safe_load((ROOT / "compose.scale.yaml").read_text())["services"]["bucket"]
    command = [word.replace("storage:9333", server.master) for word in service["entrypoint"]]
    program = object_store.program()
    assert program is not None
    path = f"{program.parent}:{os.environ['PATH']}"
    for _ in range(2):
        ran = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=120)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    made = replace(server.options(), bucket="vidprod")
    put(open_store(made), "key", b"content")


def test_the_proxy_of_compose_keeps_a_client_at_one_machine() -> None:
    """An upload goes on at another machine only after the client has asked where, and up to 8 MiB are sent again."""
    assert "lb_policy client_ip_hash" in proxy_configuration()
    assert "trusted_proxies static private_ranges" in proxy_configuration()  # all come from the proxy with https


def test_systemd_signals_the_supervisor_alone_and_survives_a_child_without_memory() -> None:
    """A worker stops at once after a second signal; a part without memory is retried."""
    service = unit()
    assert (service["KillMode"], service["OOMPolicy"]) == ("mixed", "continue")
    entrypoint = dockerfile.stages()[-1].entrypoint
    assert service["ExecStart"].split()[1:] == entrypoint[1:]
    assert service["Environment"].split()[1] == "DATA_DIR=/var/lib/" + service["StateDirectory"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    installed = UNIT.read_text().replace("/opt/vidprod/.venv/bin/python", shutil.which("env") or "")
    (tmp_path / UNIT.name).write_text(installed)
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNIT.name)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if UNIT.name in line]) == (0, [])
