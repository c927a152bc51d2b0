"""`./stage`: which Python, whose code, and what it says when something is missing."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def tree(fresh_clone, copy_of):
    return copy_of(fresh_clone)


def only(tmp_path: Path, *programs: str) -> str:
    """A PATH that holds these programs and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "dirname", "sed", *programs):
        (folder / program).symlink_to(shutil.which(program) or program)
    return str(folder)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("arguments", [[], ["trian"], ["core"], [""], ["sample train"], ["--help"]])
def test_an_unknown_stage(tree, arguments):
    output = tree.run("./stage", *arguments, fails=True)
    assert output.count("\n") == 1
    assert output.endswith("NAME is one of: detect evaluate export preprocess sample train, or tune\n")


def test_an_unknown_runner(tree):
    output = tree.run("./stage", "train", fails=True, RUNNER="podman")
    assert output == "stage: RUNNER=podman is unknown. Use native or docker\n"


def test_no_docker(tree, tmp_path):
    output = tree.run("./stage", "train", fails=True, RUNNER="docker", PATH=only(tmp_path))
    assert output == "stage: RUNNER=docker, but there is no docker. Install Docker, or use RUNNER=native\n"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("compose version", "needs 'docker compose'"),
        ("version", "the Docker engine does not answer"),
        ("image inspect faceline-train", "there is no image faceline-train. Run: make images"),
    ],
)
def test_docker_is_incomplete(tree, tmp_path, broken, says):
    path = only(tmp_path)
    script(Path(path) / "docker", f'case "$*" in "{broken}") exit 1 ;; esac')
    output = tree.run("./stage", "train", fails=True, RUNNER="docker", PATH=path)
    assert says in output
    assert output.count("\n") == 1


def test_docker_runs_the_service_with_the_options(tree, tmp_path):
    path = only(tmp_path)
    script(Path(path) / "docker", 'case "$*" in "compose run"*) echo "$@" ;; esac')
    output = tree.run("./stage", "train", "--debug", RUNNER="docker", PATH=path)
    assert re.fullmatch(r"compose run --rm -T --name faceline-train-\d+ train --debug\n", output)


@pytest.mark.parametrize("options", [[], ["--trials", "3", "--debug"]])
def test_the_search_is_the_train_stage_with_tune_before_its_options(tree, tmp_path, options):
    path = only(tmp_path)
    script(Path(path) / "docker", 'case "$*" in "compose run"*) echo "$@" ;; esac')
    output = tree.run("./stage", "tune", *options, RUNNER="docker", PATH=path)
    expected = " ".join(["train tune", *options])
    assert re.fullmatch(rf"compose run --rm -T --name faceline-train-\d+ {expected}\n", output)
    python = script(tmp_path / "python", 'echo "$@"')
    output = tree.run("./stage", "tune", *options, FACELINE_PYTHON=str(python))
    assert output == f"-m faceline_{expected}\n"


def test_the_search_answers_through_the_stage_command(tree):
    assert tree.run("./stage", "tune", "--help").startswith("usage: faceline-train tune [-h] [--params PARAMS]")
    output = tree.run("./stage", "tune", "--params", "nowhere.yaml", fails=True)
    assert output == "[tune] error: nowhere.yaml is not there. Copy one of recipes/*.yaml to nowhere.yaml\n"


def test_no_python_that_has_the_packages(tree, tmp_path):
    output = tree.run("./stage", "train", fails=True, FACELINE_PYTHON="", PATH=only(tmp_path))
    reason = "no .venv here or above, and python3 has no torch. Run: make .venv (or set FACELINE_PYTHON)"
    assert output == f"stage: {reason}\n"
    output = tree.run("./stage", "train", fails=True, FACELINE_PYTHON="/nowhere/python")
    assert output == "stage: FACELINE_PYTHON=/nowhere/python is no program. Give the path of a Python\n"


def test_the_nearest_environment_above_is_taken(tree, copy_of):
    above = copy_of(tree)
    for folder in (above.folder, above.folder.parent):
        script(folder / ".venv/bin/python", f"echo {folder.name}: $@")
    inner = above.folder / ".dvc/tmp/exps/tmp1"
    shutil.copytree(tree.folder, inner)
    output = subprocess.check_output(
        [inner / "stage", "train", "--version"], text=True, env={**os.environ, "FACELINE_PYTHON": ""}
    )
    assert output == "faceline: -m faceline_train --version\n"


def test_the_code_of_its_own_tree_runs(tree, copy_of):
    changed = copy_of(tree)
    version = changed.folder / "core/src/faceline_core/__init__.py"
    version.write_text('__version__ = "of this tree"\n')
    assert changed.run("./stage", "train", "--version") == "faceline-train of this tree\n"
    elsewhere = subprocess.check_output(
        [changed.folder / "stage", "train", "--version"], text=True, cwd="/", env={**os.environ, **tree.environment}
    )
    assert elsewhere == "faceline-train of this tree\n"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_stage(tree, tmp_path, stop):
    python = script(tmp_path / "python", "trap 'echo stopped; exit 130' INT TERM\necho up\nsleep 60 & wait")
    process = subprocess.Popen(
        ["./stage", "train"],
        cwd=tree.folder,
        env={**os.environ, "FACELINE_PYTHON": str(python)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "up\n"
        started = time.monotonic()
        process.send_signal(stop)
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(5) == 130
        assert time.monotonic() - started < 5
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its sleep
