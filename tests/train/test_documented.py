"""train/README.md names every parameter and every option that there is, and none that there is not."""

import re
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

import faceline_train
from faceline_core.parameters.schema import Parameters

README = (Path(__file__).parents[2] / "train/README.md").read_text(encoding="utf-8")


def leaves(model: type[BaseModel], above: str = "") -> set[str]:
    """Parameters by path: {"lr", "optimizer.name", ...}."""
    found = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        section = isinstance(kind, type) and issubclass(kind, BaseModel)
        found |= leaves(kind, f"{above}{name}.") if section else {above + name}
    return found


def first_column(section: str) -> set[str]:
    """What stands in backticks in the first column of the tables of a section."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return set(re.findall(r"`([^`]+)`", " ".join(cells)))


def test_every_parameter_has_a_line_and_no_other():
    used = {name for name in leaves(Parameters) if name.split(".")[0] in faceline_train.KEYS}
    assert first_column("Parameters") == used


def test_every_option_has_a_line_and_no_other():
    """Options stand in the table before the first section, those of `tune` in its line."""
    helps = [
        subprocess.run(
            [sys.executable, "-m", "faceline_train", *command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for command in ([], ["tune"])
    ]
    lines = [line for line in README.split("\n## ")[0].splitlines() if line.startswith("| `")]
    for tune, shown in enumerate(helps):
        named = {
            option for line in lines if ("`tune" in line) == tune for option in re.findall(r"`[^`|]*?(--[a-z]+)", line)
        }
        assert named == set(re.findall(r"(?<![\w-])--[a-z-]+", shown))
