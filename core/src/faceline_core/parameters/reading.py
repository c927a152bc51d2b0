"""Reads params.yaml: numbers as people write them, errors that name the key, and for each stage only its own keys."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from faceline_core.errors import FacelineError
from faceline_core.parameters.schema import Parameters


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads `1e-05` as a number (YAML 1.2), as `dvc exp run -S lr=1e-5` writes it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here a second time", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


class StageParameters:
    """The parameters that one stage declared, and no others: asking for another is a defect that shows at once."""

    def __init__(self, parameters: Parameters, keys: Sequence[str]):
        self._values = {name: getattr(parameters, name) for name in dict.fromkeys(key.split(".")[0] for key in keys)}

    def __getattr__(self, key: str) -> Any:
        try:
            return self.__dict__["_values"][key]
        except KeyError:
            raise AttributeError(f"the stage did not declare the parameter {key!r} in its KEYS") from None

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts, for a checkpoint or a hash."""
        return {
            key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for key, value in self._values.items()
        }


def read_parameters(path: Path, keys: Sequence[str]) -> StageParameters:
    """Reads and checks the whole of a params file, and returns the part that a stage declared.

    Args:
        path: the YAML file.
        keys: what the stage uses: top-level names, or `section.name` of a section that it uses in part and gets whole.

    Raises:
        FacelineError: where the file is missing, is not YAML, lacks a key, holds an unknown one (the nearest known name
            is given) or a value out of bounds; every fault of the file is listed.
    """
    return StageParameters(check_values(read_values(path), path), keys)


def read_values(path: Path) -> dict[str, Any]:
    """The values of a params file as they are written, unchecked: plain numbers, words, lists and dicts.

    Raises:
        FacelineError: where the file is missing, is not YAML, or holds no keys.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FacelineError(f"{path} is not there. Copy one of recipes/*.yaml to {path}") from None
    except UnicodeDecodeError as error:
        raise FacelineError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f" near line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise FacelineError(f"{path}{line} is not YAML: {error.problem}. Mend it there") from None
    except yaml.YAMLError as error:
        raise FacelineError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise FacelineError(f"{path} holds no parameters. Copy one of recipes/*.yaml over it")
    return values


def check_values(values: dict[str, Any], source: object) -> Parameters:
    """Values against the whole schema.

    Args:
        values: of a params file, as `read_values` returns them.
        source: where they come from, for the message.

    Raises:
        FacelineError: `<source>: <every fault, by its key>`.
    """
    try:
        return Parameters.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(dict.fromkeys(_describe(fault) for fault in _without_echoes(error.errors())))
        raise FacelineError(f"{source}: {faults}") from None


def faults_at(values: dict[str, Any], name: str) -> list[str]:
    """What the schema has against the value of one parameter, named as `section.key`, whatever the others are."""
    try:
        Parameters.model_validate(values)
    except ValidationError as error:
        its = [fault for fault in error.errors() if f"{_name_of(fault)}.".startswith(f"{name}.")]
        return list(dict.fromkeys(_describe(fault) for fault in its))
    return []


def _without_echoes(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """A misspelt key is missing under its right name as well: one fault, told once."""
    meant = {_nearest(fault["loc"]) for fault in faults if fault["type"] == "extra_forbidden"}
    return [fault for fault in faults if fault["type"] != "missing" or ".".join(map(str, fault["loc"])) not in meant]


def _nearest(place: tuple[int | str, ...]) -> str | None:
    """The known key that an unknown one at `place` is closest to, as `section.key`; None where none is close."""
    where = [str(part) for part in place]
    near = difflib.get_close_matches(where[-1], _model_at(where[:-1]).model_fields, n=1, cutoff=0.4)
    return ".".join([*where[:-1], near[0]]) if near else None


def _name_of(fault: ErrorDetails) -> str:
    return ".".join(str(part) for part in fault["loc"] if not _is_branch_label(part))


def _describe(fault: ErrorDetails) -> str:
    name = _name_of(fault)
    if fault["type"] == "extra_forbidden":
        near = _nearest(fault["loc"])
        hint = f"did you mean {near}?" if near else "remove it"
        return f"unknown key {name}: {hint}"
    if fault["type"] == "missing":
        return f"{name} is missing: a params file is complete, see recipes/"
    found = "" if isinstance(fault["input"], dict) else f", found {fault['input']!r}"
    message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    message = message.removesuffix(", unable to parse string as a number").removesuffix(
        ", unable to parse string as an integer"
    )
    return f"{name}: {message}{found}" if name else message + found


def _is_branch_label(part: int | str) -> bool:
    """pydantic adds the branch of a union (`int`, `literal['auto']`, `constrained-float`) to an error's place."""
    return isinstance(part, str) and (part in {"int", "float", "str", "none"} or "[" in part or "constrained" in part)


def _model_at(path: list[str]) -> type[BaseModel]:
    """The model of the section at `path`; the key of a mapping (optuna.search_spaces) leads to what it maps to."""
    kind: Any = Parameters
    for part in path:
        kind = get_args(kind)[1] if get_origin(kind) is dict else kind.model_fields[part].annotation
        if isinstance(kind, UnionType):
            kind = next(one for one in get_args(kind) if isinstance(one, type) and issubclass(one, BaseModel))
    model: type[BaseModel] = kind
    return model
