"""Stages in containers: whose files, whose code, and that a signal ends them."""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest


def owners(folder: Path) -> set[tuple[int, int]]:
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in (folder, *folder.rglob("*"))}


@pytest.mark.usefixtures("images")
class TestOwnership:
    def test_compose_runs_the_stages_as_the_trees_owner(self, owned_copy):
        clone = owned_copy(1000)
        clone.run("rm", "-rf", "data/processed")
        for stage in ("detect", "preprocess", "train", "evaluate", "export"):
            clone.run("docker", "compose", "run", "--rm", stage)
        assert json.loads((clone.folder / "artifacts/metrics.json").read_text())
        figures = json.loads((clone.folder / "artifacts/detect/metrics.json").read_text())
        assert list(figures) == ["mtcnn", "retinaface", "yolo", "fused"]
        assert (clone.folder / "artifacts/model/model.torchscript.pt").is_file()
        assert owners(clone.folder / "data") | owners(clone.folder / "artifacts") == {(1000, 1000)}

    def test_roots_tree_stays_roots(self, owned_copy):
        clone = owned_copy(0)
        clone.run("docker", "run", "--rm", "-v", f"{clone.folder}:/app", "faceline-train")
        assert owners(clone.folder / "artifacts") == {(0, 0)}

    def test_three_mounts_are_enough(self, owned_copy):
        clone = owned_copy(1000)
        mounts = [f"-v{clone.folder}/{name}:/app/{name}" for name in ("data", "artifacts", "params.yaml")]
        clone.run("docker", "run", "--rm", *mounts, "faceline-train")  # the engine makes artifacts/, as root's
        assert (clone.folder / "artifacts/checkpoints/best_model.pth").is_file()
        assert owners(clone.folder / "artifacts") == {(1000, 1000)}

    def test_a_user_that_was_asked_for_stays(self, owned_copy):
        clone = owned_copy(1234)
        mount = ("-v", f"{clone.folder}:/app")
        clone.run("docker", "run", "--rm", "--user", "1234:1234", *mount, "faceline-train")
        assert owners(clone.folder / "artifacts") == {(1234, 1234)}


@pytest.mark.usefixtures("images")
class TestWhoseCode:
    def test_that_of_the_mounted_tree(self, fresh_clone, copy_of):
        clone = copy_of(fresh_clone)
        (clone.folder / "core/src/faceline_core/__init__.py").write_text('__version__ = "of this tree"\n')
        assert "of this tree" in clone.run("docker", "compose", "run", "--rm", "train", "--version")
        assert "of this tree" in clone.run("./stage", "train", "--version", RUNNER="docker")

    def test_an_experiment_elsewhere_runs_in_containers(self, reproduced, copy_of, ran):
        clone = copy_of(reproduced)
        output = clone.run("dvc", "exp", "run", "--temp", "-S", "lr=0.003", "--name", "temp", RUNNER="docker")
        assert ran(output) == ["train", "evaluate", "export"]
        assert clone.run("git", "status", "--porcelain") == ""
        assert clone.experiments()["temp"]["metrics"]["artifacts/metrics.json"]["data"]

    def test_another_runner_reruns_nothing(self, reproduced, ran):
        assert ran(reproduced.run("dvc", "repro", RUNNER="docker")) == []


@pytest.mark.usefixtures("images")
class TestStopping:
    @pytest.fixture
    def long_training(self, owned_copy):
        clone = owned_copy(1000)
        params = clone.folder / "params.yaml"
        text = params.read_text().replace("epochs: 1\n", "epochs: 100000\n")
        params.write_text(text.replace("early_stopping: 5", "early_stopping: 0"))
        return clone

    @pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("command", ["./stage train", "docker run --rm -v .:/app faceline-train"])
    def test_by_a_signal(self, long_training, new_containers, command, stop):
        command = command.replace("-v .", f"-v {long_training.folder}")
        process = subprocess.Popen(
            command.split(),
            cwd=long_training.folder,
            env={**os.environ, **long_training.environment, "RUNNER": "docker"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        head = ""
        while "epoch 1/" not in head:
            line = process.stdout.readline()
            assert line, head
            head += line
        started = time.monotonic()
        process.send_signal(stop)
        tail = process.communicate()[0]
        assert time.monotonic() - started < 5
        assert process.returncode == 130, tail
        assert "[train] stopped; run it again to go on" in tail
        assert new_containers() == set()

    @pytest.mark.parametrize("command", ["./stage train", "docker compose run --rm train"])
    def test_by_control_c_at_a_terminal(self, long_training, new_containers, command):
        environment = {**os.environ, **long_training.environment, "RUNNER": "docker", "TERM": "xterm"}
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(long_training.folder)
            os.execvpe(command.split()[0], command.split(), environment)  # noqa: S606 (the child of a fork)
        output = b""
        while b"epoch 1/" not in output:
            output += os.read(terminal, 4096)
        started = time.monotonic()
        os.write(terminal, b"\x03")
        try:
            while received := os.read(terminal, 4096):
                output += received
        except OSError:  # Linux's way to say that the other side has closed
            pass
        _, status = os.waitpid(pid, 0)
        assert time.monotonic() - started < 5
        assert os.waitstatus_to_exitcode(status) == 130, output.decode()
        assert b"[train] stopped; run it again to go on" in output
        assert new_containers() == set()
