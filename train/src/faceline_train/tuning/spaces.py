"""optuna.search_spaces of params.yaml: which parameters may be searched, what a trial draws, and how `-S` writes it."""

import copy
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.reading import faults_at
from faceline_core.parameters.training import SearchSpace
from faceline_train import KEYS

if TYPE_CHECKING:
    import optuna

Value = bool | int | float | str | None

_DIGITS = 4  # of a drawn number: few enough to read and to type, and what the trial trains with
_PREPROCESS = ("data", "detector", "img_size", "preprocess", "sample")
_REFUSED = {
    **dict.fromkeys(_PREPROCESS, "faces would have to be cut again for each trial. Use `dvc exp run --queue` for it"),
    "dataset": "trials that learn from, or are measured on, other faces do not compare. Take it out",
    "seed": "the best of several seeds is luck, not a better setting. Take it out",
    "classes": "trials with other people do not compare. Take it out",
    **dict.fromkeys(
        ("trainer.devices", "trainer.num_nodes", "trainer.strategy"),
        "a trial runs on one device. Take it out, and see docs/experiments.md on several devices",
    ),
    **dict.fromkeys(("checkpoint", "logging", "run_name"), "it does not change what is learned. Take it out"),
    **dict.fromkeys(("ckpt_path", "only_weights_load"), "all trials start from the same weights. Take it out"),
    "trainer.fast_dev_run": "a trial trains for real. Take it out",
}


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Values by parameter path: {"optimizer": {"name": "sgd"}} is {"optimizer.name": "sgd"}."""
    paths: dict[str, Any] = {}
    for key, value in values.items():
        paths |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return paths


def with_changes(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the values of a params file, with some changed, by parameter path."""
    changed = copy.deepcopy(values)
    for name, value in changes.items():
        *sections, key = name.split(".")
        place = changed
        for section in sections:
            place = place[section]
        place[key] = value
    return changed


def check_spaces(spaces: Mapping[str, SearchSpace], values: dict[str, Any], source: object) -> None:
    """Refuses, before the first trial, what no trial could use.

    Args:
        spaces: optuna.search_spaces.
        values: the whole params file, complete, so that its keys are those of the schema.
        source: the params file, for messages.

    Raises:
        FacelineError: where a path is unknown (the nearest are named), is a section, or may not be searched; where an
            end of a range or one of the choices is out of the parameter's bounds.
    """
    if not spaces:
        raise FacelineError(f"{source}: optuna.search_spaces is empty. Give a parameter there a range or choices")
    known = {name: value for name, value in flat(values).items() if _refusal(name) is None}
    for name, space in spaces.items():
        place = f"{source}: optuna.search_spaces.{name}"
        if isinstance(_at(values, name), dict) and not _refusal(name):
            inside = ", ".join(path for path in known if path.startswith(f"{name}."))
            raise FacelineError(f"{place}: a section is not searched as a whole. Name one of {inside}")
        if name not in flat(values):
            raise FacelineError(f"{place} is no parameter; {nearest(name, known)}")
        if reason := _refusal(name):
            raise FacelineError(f"{place}: {reason}")
        for value in _extremes(space):
            for fault in faults_at(with_changes(values, {name: value}), name):
                raise FacelineError(f"{place}: {fault}")


def suggest(trial: "optuna.Trial", spaces: Mapping[str, SearchSpace]) -> dict[str, Value]:
    """A value for each parameter; fractional numbers are rounded to 4 digits, within their range."""
    return {name: _draw(trial, name, space) for name, space in spaces.items()}


def command(values: Mapping[str, Value]) -> str:
    """The command that runs the pipeline with these values, as one types it in a shell."""
    settings = (f"-S {shlex.quote(f'{name}={_written(value)}')}" for name, value in values.items())
    return " ".join(["dvc exp run", *settings])


def shown(value: Value) -> str:
    """A value as params.yaml writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _draw(trial: "optuna.Trial", name: str, space: SearchSpace) -> Value:
    if space.distribution == "categorical":
        choice: Value = trial.suggest_categorical(name, space.choices)
        return choice
    if space.distribution == "int":
        return trial.suggest_int(name, int(space.low), int(space.high))
    drawn = trial.suggest_float(name, space.low, space.high, log=space.distribution == "loguniform")
    return min(max(float(f"{drawn:.{_DIGITS}g}"), space.low), space.high)


def _extremes(space: SearchSpace) -> list[Value]:
    if space.distribution == "categorical":
        return list(space.choices)
    return [int(end) if space.distribution == "int" else end for end in (space.low, space.high)]


def _refusal(name: str) -> str | None:
    for prefix, reason in _REFUSED.items():
        if f"{name}.".startswith(f"{prefix}."):
            return reason
    return None if name.split(".", 1)[0] in KEYS else "the train stage does not use it. Take it out"


def _at(values: Mapping[str, Any], name: str) -> Any:
    place: Any = values
    for key in name.split("."):
        place = place.get(key) if isinstance(place, dict) else None
    return place


def _written(value: Value) -> str:
    """As the right side of DVC's `-S name=`: Hydra's grammar, in which a string with other characters is quoted."""
    if isinstance(value, str) and (
        not re.fullmatch(r"[A-Za-z_][\w./:-]*", value) or value.lower() in ("null", "true", "false", "nan", "inf")
    ):
        # Backslashes count twice before a quote only, that at the end included.
        return '"' + re.sub(r'(\\*)("|$)', lambda end: end[1] * 2 + ('\\"' if end[2] else ""), value) + '"'
    return shown(value)
