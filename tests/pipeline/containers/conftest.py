"""The images, built from a throw-away clone and run by a real engine. They take the names of a person's own images."""

import os
import subprocess
import time

import pytest

STAGES = ("sample", "detect", "preprocess", "train", "evaluate", "export")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):  # noqa: PTH120 (the hook is given all items)
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Skips where there is no Docker engine; fails where CI has none."""
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            fault = done.stderr.strip() if done.returncode else ""
        except FileNotFoundError:
            fault = "there is no docker"
        if fault:
            reason = f"no Docker engine: `{' '.join(command)}` says: {fault}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def images(fresh_clone) -> tuple[str, ...]:
    """The six images of the tree as it stands, one built by `docker build`, all by `docker compose build`."""
    fresh_clone.run("docker", "build", "--target", "train", "-t", "faceline-train", ".")
    fresh_clone.run("docker", "compose", "build")
    return tuple(f"faceline-{stage}" for stage in STAGES)


@pytest.fixture
def owned_copy(reproduced, copy_of):
    """A function: a copy in which all stages have run, but for those after preprocess, as a given user's."""

    def copy(uid: int):
        clone = copy_of(reproduced)
        clone.run("rm", "-rf", "artifacts")
        clone.run("chown", "-R", f"{uid}:{uid}", ".")
        return clone

    return copy


@pytest.fixture
def new_containers():
    """A function: the containers that remain after a few seconds, running or not, and were not before the test."""

    def listed() -> set[str]:
        return set(subprocess.check_output(["docker", "ps", "-a", "--format", "{{.Names}}"], text=True).split())

    before = listed()

    def left_over() -> set[str]:
        for _ in range(30):  # the engine removes a container a moment after it has ended
            if not listed() - before:
                break
            time.sleep(0.1)
        return listed() - before

    yield left_over
    if left := left_over():
        subprocess.run(["docker", "rm", "--force", *left], check=True)
