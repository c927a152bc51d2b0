"""Studies that are stopped, killed, gone on with, and shared."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from faceline_train.tuning.search import search
from faceline_train.tuning.store import counts

FORK = multiprocessing.get_context("fork")


def test_a_study_in_parts_draws_what_it_draws_in_one_go(tmp_path, values_with, train, drawn):
    values = values_with(14)  # Optuna draws at random for 10 trials, and then by what it found
    whole = search(values, "params.yaml", train, artifacts=tmp_path / "whole")
    parts = tmp_path / "parts"
    for n_trials in (3, 12, 14):
        study = search(values, "params.yaml", train, n_trials=n_trials, artifacts=parts)
        assert sum(map(counts, study.trials)) == n_trials
    assert drawn(study) == drawn(whole)
    assert len({one["lr"] for one in drawn(whole)}) == 14
    assert [trial.value for trial in study.trials] == [trial.value for trial in whole.trials]


def test_a_study_that_is_done_shows_its_report_again(tmp_path, capsys, values_with, train):
    search(values_with(), "params.yaml", train, artifacts=tmp_path)
    command = capsys.readouterr().out.strip().splitlines()[-1]
    search(values_with(), "params.yaml", lambda *_, **__: pytest.fail("a trial began"), artifacts=tmp_path)
    assert capsys.readouterr().out.strip().splitlines()[-1] == command


def test_a_trial_that_was_stopped_is_gone_on_with(tmp_path, values_with, train, drawn, table):
    calls, stops = [], [2, 3]

    def stopped(parameters, artifacts, on_epoch, scratch):
        calls.append((parameters.lr, artifacts, (artifacts / "progress").exists()))
        artifacts.mkdir(parents=True, exist_ok=True)
        (artifacts / "progress").touch()
        if len(calls) in stops:
            on_epoch(1, {"epoch": 1, "val_acc": 0.5})
            raise KeyboardInterrupt
        return train(parameters, artifacts, on_epoch, scratch)

    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            search(values_with(3), "params.yaml", stopped, artifacts=tmp_path)
    study = search(values_with(3), "params.yaml", stopped, artifacts=tmp_path)
    assert calls[1][:2] == calls[2][:2] == calls[3][:2], "the same values in the same folder"
    assert [there for _, _, there in calls] == [False, False, True, True, False]
    assert [row["trial"] for row in table(tmp_path)] == ["1", "2", "3"]
    assert len(drawn(study)) == len({one["lr"] for one in drawn(study)}) == 3
    assert not list(tmp_path.glob(".scratch/*/*"))


@pytest.fixture
def start_apart(tmp_path, values_with, train):
    """A function that starts a process on the study; each of its trials takes some seconds, and a line in `log`."""

    def work(n_trials: int, seconds: float) -> None:
        def slow(parameters, **rest):
            with (tmp_path / "log").open("a") as file:
                file.write(json.dumps([os.getpid(), parameters.lr]) + "\n")
            time.sleep(seconds)
            return train(parameters, **rest)

        search(values_with(n_trials), "params.yaml", slow, artifacts=tmp_path, grace=2)

    def start(n_trials: int, seconds: float) -> multiprocessing.Process:
        process = FORK.Process(target=work, args=(n_trials, seconds))
        process.start()
        return process

    return start


def lines_of(log: Path) -> list[tuple[int, float]]:
    return [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_trial_whose_process_was_killed_is_done_again(tmp_path, start_apart, values_with, train, drawn):
    log = tmp_path / "log"
    process = start_apart(3, 60)
    while not lines_of(log):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    study = search(values_with(3), "params.yaml", train, artifacts=tmp_path, grace=2)
    assert sum(map(counts, study.trials)) == 3
    assert [trial.state for trial in study.trials].count(TrialState.FAIL) == 1
    assert lines_of(log)[0][1] in [one["lr"] for one in drawn(study)]
    assert len({one["lr"] for one in drawn(study)}) == 3


def test_two_processes_share_a_study_and_leave_each_other_alone(tmp_path, start_apart, table):
    processes = [start_apart(6, seconds) for seconds in (4, 0.4)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    pids, drawn_by_either = zip(*lines_of(tmp_path / "log"), strict=True)
    assert set(pids) == {process.pid for process in processes}, "both worked"
    assert len(set(drawn_by_either)) == len(drawn_by_either) in (6, 7), "none was drawn twice, or done twice"
    assert {row["state"] for row in table(tmp_path)} <= {"complete", "pruned"}, "a trial longer than grace lived"


def test_a_trial_that_another_process_took_over_is_left_to_it(tmp_path, capsys, values_with, train):
    calls = []

    def slept(parameters, **rest):
        calls.append(parameters.lr)
        if len(calls) == 2:  # as after a night in which the machine slept
            own = optuna.load_study(study_name="faceline", storage=f"sqlite:///{tmp_path / 'tune/study.db'}")
            own.tell(1, state=TrialState.FAIL)
        return train(parameters, **rest)

    study = search(values_with(4), "params.yaml", slept, artifacts=tmp_path)
    assert [trial.number for trial in study.trials if counts(trial)] == [0, 2, 3, 4]
    assert "trial 2/4 gave no sign for 30 s: another process does it again" in capsys.readouterr().out
