"""The whole graph, in throw-away clones of the working tree."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Clone:
    """A throw-away clone, and commands run in it as its user would type them."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, fails: bool = False, **environment: str) -> str:
        """A command's stdout and stderr; the test fails where its exit code is not what was expected."""
        done = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def read_json(self, *command: str) -> Any:
        """What a command writes to stdout, as JSON."""
        environment = {**os.environ, **self.environment}
        return json.loads(subprocess.check_output(command, cwd=self.folder, env=environment))

    def experiments(self) -> dict[str, dict[str, Any]]:
        """Name -> data of the experiments that `dvc exp show` lists under HEAD."""
        listed = self.read_json("dvc", "exp", "show", "--json")
        of_head = next(revision for revision in listed if revision.get("name") == "main")
        return {row["name"]: row["revs"][0]["data"] for row in of_head["experiments"] or []}


def stages_run(output: str) -> list[str]:
    """The stages that DVC says it ran."""
    return re.findall(r"Running stage '(\w+)'", output)


@pytest.fixture(scope="session")
def ran() -> Callable[[str], list[str]]:
    return stages_run


@pytest.fixture(scope="session")
def fresh_clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Nothing has run in it yet."""
    folder = tmp_path_factory.mktemp("clone") / "faceline"
    folder.mkdir()
    subprocess.run([sys.executable, Path(__file__).with_name("throw_away.py"), folder], check=True)
    environment = {
        "FACELINE_PYTHON": sys.executable,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RUNNER": "native",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "DVC_STAGE": "",
    }
    return Clone(folder, environment)


@pytest.fixture(scope="session")
def reproduced(fresh_clone: Clone) -> Clone:
    """`dvc repro` has run in it, and its dvc.lock is committed. Take a copy to change anything."""
    folder = fresh_clone.folder.with_name("reproduced")
    shutil.copytree(fresh_clone.folder, folder, symlinks=True)
    clone = Clone(folder, fresh_clone.environment)
    output = clone.run("dvc", "repro")
    assert stages_run(output) == ["sample", "detect", "preprocess", "train", "evaluate", "export"], output
    clone.run("git", "commit", "--quiet", "--message=Run", "dvc.lock")
    return clone


@pytest.fixture(scope="module")
def copy_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Clone], Clone]:
    def copy(clone: Clone) -> Clone:
        folder = tmp_path_factory.mktemp("copy") / "faceline"
        shutil.copytree(clone.folder, folder, symlinks=True)
        return Clone(folder, clone.environment)

    return copy
