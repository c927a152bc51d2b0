"""The stage stopped at any moment, and its workers killed."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from faceline_preprocess.finding import Found
from faceline_preprocess.resuming import Notebook


def found(key, pictures=("1_0.0.jpg",)):
    return Found({"key": key, "faces": []}, dict.fromkeys(pictures, b"picture"))


def test_notebook_drops_a_line_cut_short_and_photos_whose_pictures_are_gone(tmp_path):
    notebook = Notebook(tmp_path)
    for key in ("aa", "bb", "cc"):
        notebook.add(found(key))
    whole = notebook.file.read_bytes()
    notebook.file.write_bytes(whole + b'{"key": "dd", "pic')
    notebook.picture("bb", "1_0.0.jpg").write_bytes(b"")
    assert list(Notebook(tmp_path).read(["aa", "bb", "cc", "dd"])) == ["aa", "cc"]
    notebook.add(found("ee"))
    assert list(Notebook(tmp_path).read(["aa", "ee", "dd"])) == ["aa", "ee"]
    assert notebook.file.read_bytes().startswith(whole)
    assert Notebook(tmp_path / "empty").read(["aa"]) == {}


def lines_of(project):
    return sum(
        len(file.read_bytes().splitlines()) for file in (project.folder / "data/.scratch").glob("*/photos.jsonl")
    )


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def children(pid):
    """Processes of the session that the stage leads."""
    out = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "-g", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [line for line in out.splitlines() if "spawn_main" in line]


def stop(project, process, how):
    """Stops a run, waits until none of its processes is left, and returns what it printed."""
    assert len(children(process.pid)) == 2
    start = time.monotonic()
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    if how != signal.SIGKILL:  # then workers end with their chunk
        assert time.monotonic() - start < 5
        assert process.returncode == 130
        assert err.strip() == "[preprocess] stopped; run it again to go on"
    wait_for(lambda: not children(process.pid), 20)
    assert not project.processed.exists()
    return out


@pytest.mark.real
def test_a_stopped_run_goes_on_where_it_was(project, lfw):
    """Stopped by Ctrl-C, then by SIGTERM, then killed."""
    lfw(project, 16, 8)
    project.set(num_workers=2)
    total = len(list(project.people.glob("*/*")))
    done, pattern = 0, rf"{total} photos of 16 people, (\d+) done before the stop"
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process = project.start()
        wait_for(lambda: lines_of(project) >= done + 8)  # noqa: B023 (waited for here)
        out = stop(project, process, how)
        assert re.findall(pattern, out) == ([str(done)] if done else [])
        assert done + 8 <= lines_of(project) < total
        done = lines_of(project)

    project.set(num_workers=0)
    process = project.start()
    out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, "")
    assert re.findall(pattern, out) == [str(done)]
    assert len(project.manifest()) == total > 100


@pytest.mark.real
def test_a_worker_that_dies_is_an_error_and_not_a_wait(project, lfw):
    lfw(project, 12, 6)
    project.set(num_workers=2)
    process = project.start()
    wait_for(lambda: lines_of(project) >= 1)
    os.kill(int(children(process.pid)[0].split()[0]), signal.SIGKILL)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "a worker process died of SIGKILL (the machine may be out of memory)" in err
    assert "Traceback" not in err


@pytest.mark.real
def test_help_and_schema_errors_are_quick_and_import_nothing_heavy(project):
    import sys

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import sys, faceline_preprocess.__main__; print({'torch', 'cv2', 'numpy', 'PIL'} & set(sys.modules))"
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert out == "set()\n"
    (project.folder / "params.yaml").write_text(Path(project.folder / "params.yaml").read_text() + "\npik: all\n")
    code, _, err = project.run()
    assert code == 1
    assert "unknown key pik" in err
