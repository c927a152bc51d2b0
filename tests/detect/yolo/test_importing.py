"""ultralytics reaches no network, writes nothing where it should not, and leaves the process as it was."""

import logging
import sys

import pytest

from faceline_core.errors import FacelineError
from faceline_detect.yolo.importing import ultralytics_at_work


def test_training_and_searching_try_no_connection(trained):
    assert trained.told["attempts"] == []


def test_nothing_is_left_in_the_home_the_working_or_the_temporary_folder(trained):
    left = [path for path in trained.home.rglob("*") if path.is_file() and "matplotlib" not in path.parts]
    assert left == []
    assert not any("ultralytics" in path.name.lower() for path in trained.home.rglob("*"))


def test_the_process_is_as_it_was(trained):
    before, after = trained.told["before"], trained.told["after"]
    assert before["environment"]["ULTRALYTICS_API_KEY"]
    assert after == before
    assert before["threads"] == [1, 3]


def test_it_says_a_line_an_epoch_and_nothing_else(trained):
    lines = trained.said.splitlines()[:-1]
    assert all(line.startswith("[detect] YOLO ") for line in lines)
    assert [line.split()[3] for line in lines if " epoch " in line] == ["1/2", "2/2"]


def test_where_it_is_missing_the_command_that_installs_it_is_told(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "ultralytics"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with (
        pytest.raises(FacelineError, match=r"AGPL-3.0.*not installed.*pip install --no-deps ultralytics=="),
        ultralytics_at_work(),
    ):
        pass


@pytest.mark.usefixtures("ultralytics_there")
def test_a_part_of_it_that_is_missing_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("ultralytics.models")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ultralytics.models", None)
    with (
        pytest.raises(FacelineError, match=r"does not load \(.*ultralytics.models.*pip install"),
        ultralytics_at_work(),
    ):
        pass


@pytest.mark.usefixtures("ultralytics_there")
def test_its_warnings_are_lines_of_the_stage(capsys):
    with ultralytics_at_work():
        logging.getLogger("ultralytics").warning("the loss\nis odd")
        logging.getLogger("ultralytics").info("a banner")
    assert capsys.readouterr().out == "[detect] ultralytics: the loss is odd\n"
