"""A container of the image, and a short video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.local.ports import free_ports
from tests.deployment.container import Container, build_app
from tests.flows.conftest import talk

__all__ = ["talk"]  # a fixture

StartContainer = Callable[..., Container]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("image")
    for parent in (directory, directory.parent):  # pytest makes them private, the image's user passes through
        parent.chmod(0o711)
    return build_app(directory / "app")


@pytest.fixture
def start_container(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartContainer]:
    """Return what makes and starts a container that serves on a free port; its settings may be given."""
    made: list[Container] = []

    def start(**environ: str) -> Container:
        directory = tmp_path_factory.mktemp("container")
        for parent in (directory, directory.parent):  # pytest makes them private, the image's user passes through
            parent.chmod(0o711)
        [port] = free_ports(1)
        required = {"PUBLIC_URL": "https://vidprod.example.com", "SECRET_KEY": "secret-key-of-tests" * 2}
        container = Container(
            app, directory, {**required, "PORT": str(port), "API_KEYS": "test-key-of-tests", **environ}
        )
        made.append(container)
        container.start()
        return container

    yield start
    for container in made:
        container.kill()
