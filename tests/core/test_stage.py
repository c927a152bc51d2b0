import errno
import os
import sys

import pytest

from faceline_core.errors import FacelineError
from faceline_core.stage import console, memory
from faceline_core.stage.files import replaced_folder, scratch_folder, write_json, written_beside
from faceline_core.stage.memory import available_bytes
from faceline_core.stage.progress import progress, say


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    target = tmp_path / "out"
    with replaced_folder(target) as folder:
        (folder / "a").write_text("first")
    with pytest.raises(RuntimeError), replaced_folder(target) as folder:
        (folder / "a").write_text("second")
        raise RuntimeError
    assert (target / "a").read_text() == "first"
    with replaced_folder(target) as folder:
        (folder / "b").write_text("third")
    assert sorted(p.name for p in target.iterdir()) == ["b"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path):
    old = tmp_path / ".out.old"
    old.mkdir()
    (old / "a").write_text("first")
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "out"):
        raise RuntimeError
    assert (tmp_path / "out/a").read_text() == "first"


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep/metrics.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n  "a": 1\n}\n'
    with pytest.raises(OSError), written_beside(path) as beside:  # noqa: PT011
        beside.write_text("half")
        raise OSError
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


def test_scratch_of_other_settings_is_removed_and_of_the_same_is_kept(tmp_path):
    first = scratch_folder(tmp_path, "train", {"lr": 1})
    (first / "progress").write_text("")
    assert (scratch_folder(tmp_path, "train", {"lr": 1}) / "progress").exists()
    other_stage = scratch_folder(tmp_path, "preprocess", {"lr": 1})
    second = scratch_folder(tmp_path, "train", {"lr": 2})
    assert not first.exists()
    assert second.exists()
    assert other_stage.exists()


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (FacelineError("x.jpg is broken. Mend it"), 1, "[train] error: x.jpg is broken. Mend it\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a.pth"), 1, "a.pth: no space left on device. Make room"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 1, "out: permission denied. Make it writable"),
        (KeyboardInterrupt(), 130, "stopped; run it again to go on"),
    ],
)
def test_an_error_is_one_line(capsys, error, code, expected):
    assert console.guarded("train", lambda: _raise(error)) == code
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1


def test_a_defect_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        console.guarded("train", lambda: 1 / 0)


def test_under_dvc_the_line_says_how_to_get_the_outputs_back(capsys, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train")
    console.guarded("train", lambda: _raise(FacelineError("no")))
    assert "dvc checkout" in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--params", str(tmp_path / "none.yaml"), "--debug"])
    assert console.run_stage("train", "d", ["lr"], print) == 1
    assert "Traceback" in capsys.readouterr().err


def test_sigterm_stops_like_ctrl_c(capsys):
    assert console.guarded("train", lambda: os.kill(os.getpid(), 15)) == 130
    assert "stopped" in capsys.readouterr().err


def test_progress_passes_everything_on_and_tells_now_and_then(capsys):
    assert list(progress(iter(range(5)), 5, "preprocess", "photos", seconds=0)) == [0, 1, 2, 3, 4]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"[preprocess] {n}/5 photos" for n in (1, 2, 3, 4)]


def test_progress_counts_what_its_items_hold(capsys, monkeypatch):
    """Four batches of three photos, a second each; the first, which waits for everything to start, took ten."""
    times = iter([0, 10, 11, 12, 13])
    monkeypatch.setattr("faceline_core.stage.progress.time.monotonic", lambda: next(times))
    batches = [["a", "b", "c"]] * 3 + [["d"]]
    assert list(progress(batches, 10, "detect", "photos", seconds=0, count=len)) == batches
    assert capsys.readouterr().out.splitlines() == [
        "[detect] 3/10 photos",
        "[detect] 6/10 photos, 3.0 a second, 1 s left",
        "[detect] 9/10 photos, 3.0 a second, 0 s left",
    ]


def test_the_bar_counts_what_its_items_hold(monkeypatch):
    import tqdm

    steps = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(tqdm.tqdm, "update", lambda self, n=1: steps.append((n, self.total)))
    assert list(progress([["a", "b"], ["c"]], 3, "detect", "photos", count=len)) == [["a", "b"], ["c"]]
    assert list(progress("ab", 2, "detect", "photos")) == ["a", "b"]
    assert steps == [(2, 3), (1, 3), (1, 2), (1, 2)]


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True),
        ({"RANK": "4", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        ({"NODE_RANK": "1"}, False),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1"}, False),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_one_process_of_many_speaks(monkeypatch, capsys, environment, first):
    for name in ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    say("train", "hello")
    assert capsys.readouterr().out == ("[train] hello\n" if first else "")


def test_the_free_memory_is_measured():
    assert 10_000_000 < available_bytes() < 1 << 50


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "9000000\n", "memory.current": "7000000\n"}, 2_000_000),
        (
            {
                "memory.max": "9000000\n",
                "memory.current": "9000000\n",
                "memory.stat": "anon 5500000\nactive_file 1000000\ninactive_file 2500000\nshmem 900000\n",
            },
            3_500_000,
        ),
        ({"memory.max": "9000000\n", "memory.current": "9500000\n"}, 0),
    ],
)
def test_of_a_containers_limit_what_is_in_use_is_not_free(monkeypatch, tmp_path, files, left):
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert available_bytes() == left


def test_a_container_without_a_limit_has_what_the_machine_has(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path)
    for name, content in {"memory.max": "max\n", "memory.current": "7000000\n"}.items():
        (tmp_path / name).write_text(content)
    assert available_bytes() > 10_000_000
