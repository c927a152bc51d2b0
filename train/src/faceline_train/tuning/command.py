"""The command line of the search: `faceline-train tune`, or `./stage tune`."""

import argparse
from pathlib import Path

from faceline_core.stage.console import guarded


def run(arguments: list[str]) -> int:
    """Runs the search with the options that follow `tune`, and returns the exit code, as a stage does."""
    parser = argparse.ArgumentParser(
        prog="faceline-train tune",
        description="Searches the parameters of the training for better ones.",
        epilog="What is searched, and how far, stands in params.yaml under optuna; see docs/experiments.md",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters (default: params.yaml)")
    parser.add_argument("--trials", type=_count, metavar="N", help="trials of the study in all (default: n_trials)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    return guarded("tune", lambda: _tune(options.params, options.trials), debug=options.debug)


def _tune(params: Path, trials: int | None) -> None:
    from faceline_core.parameters.reading import check_values, read_values
    from faceline_train.tuning.spaces import check_spaces

    values = read_values(params)
    check_spaces(check_values(values, params).optuna.search_spaces, values, params)

    from faceline_train.training import train  # takes seconds to load: after what may be said at once
    from faceline_train.tuning.search import search

    search(values, params, train, n_trials=trials)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"should be 1 or more, found {text}")
    return number
