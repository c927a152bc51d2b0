"""What holds the house together: who imports whom, what dvc.yaml and the Dockerfile say about it, public options."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from faceline_core.parameters import read_parameters
from faceline_core.parameters.schema import Parameters

ROOT = Path(__file__).parents[2]
STAGES = ("sample", "detect", "preprocess", "train", "evaluate", "export")
IMPORTS = {
    "core": set(),
    "sample": {"core"},
    "detect": {"core"},
    "preprocess": {"core", "detect"},
    "train": {"core"},
    "evaluate": {"core", "preprocess"},
    "export": {"core"},
}
# Plumbing: a change there does not change what a stage makes of its inputs.
PLUMBING = ("core/src/faceline_core/parameters/", "core/src/faceline_core/stage/", "core/src/faceline_core/errors.py")
COMMON = {"--help", "--debug", "--version"}
OPTIONS = {
    "sample": {"--params", "--people", "--photos", "--scenes", "--occluded", "--occluders", "--seed", "--out"},
    "detect": {"--params", "--to"},
    "preprocess": {"--params", "--aligned", "--skip-unusable"},
    "train": {"--params", "--validate", "--models", "--checkpoint"},
    "evaluate": {
        "--params",
        "--split",
        "--checkpoint",
        "--output",
        "--embedding-weight",
        "--local-weight",
        "--aligned",
        "--device",
    },
    "export": {"--params"},
}
HEAVY = {"torch", "torchvision", "numpy", "cv2", "lightning", "albumentations", "matplotlib", "sklearn", "PIL", "scipy"}

DVC_STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def file_of(module: str) -> Path | None:
    """The file of a module of ours."""
    package, *rest = module.split(".")
    if not package.startswith("faceline_"):
        return None
    base = ROOT / package.removeprefix("faceline_") / "src" / package / Path(*rest)
    return next((file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()), None)


@cache
def imported_by(file: Path) -> frozenset[str]:
    """The modules of ours that a file imports, at its top or within functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(name for name in names if file_of(name))


def reached_by(stage: str) -> set[Path]:
    """The files of ours that run in a stage: those of its package, and all that they import, and so on."""
    reached: set[Path] = set()
    todo = set((ROOT / stage / "src").rglob("*.py"))
    while todo:
        file = todo.pop()
        reached.add(file)
        for module in imported_by(file):
            parents = [module.rsplit(".", up)[0] for up in range(module.count(".") + 1)]
            todo |= {found for name in parents if (found := file_of(name))} - reached
    return {file.relative_to(ROOT) for file in reached}


def run_help(stage: str, *python_options: str) -> subprocess.CompletedProcess[str]:
    sources = ":".join(str(ROOT / name / "src") for name in IMPORTS)
    return subprocess.run(
        [sys.executable, *python_options, "-m", f"faceline_{stage}", "--help"],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": sources, "COLUMNS": "120"},
    )  # fmt: skip


@pytest.mark.parametrize("package", IMPORTS)
def test_imports_go_one_way(package: str):
    crossing = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in (ROOT / package / "src").rglob("*.py")
        for module in imported_by(file)
        if module.split(".")[0].removeprefix("faceline_") not in IMPORTS[package] | {package}
    ]
    assert crossing == []


@pytest.mark.parametrize("stage", DVC_STAGES)
def test_dvc_depends_on_the_code_that_runs(stage: str):
    deps = [dep for dep in DVC_STAGES[stage]["deps"] if "/src/" in dep]
    files = [
        file.as_posix()
        for file in reached_by(stage)
        if not file.as_posix().startswith(PLUMBING) and not re.fullmatch(r"\w+/src/\w+/__init__.py", file.as_posix())
    ]
    assert [file for file in files if not file.startswith(tuple(f"{dep}/" for dep in deps))] == [], "not in deps"
    assert [dep for dep in deps if not any(file.startswith(f"{dep}/") for file in files)] == [], "in deps, but not used"


@pytest.mark.parametrize("stage", DVC_STAGES)
def test_dvc_lists_the_parameters_that_the_stage_declares(stage: str):
    keys = importlib.import_module(f"faceline_{stage}").KEYS
    assert sorted(DVC_STAGES[stage].get("params", [])) == sorted(keys)


@pytest.mark.parametrize("stage", DVC_STAGES)
def test_the_command_is_constant(stage: str):
    assert DVC_STAGES[stage]["cmd"] == f"./stage {stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_an_image_holds_the_packages_that_its_stage_imports(stage: str):
    (target,) = re.findall(rf"^FROM base AS {stage}\n(.*?)(?=^FROM|\Z)", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    copied = set(re.findall(r"^COPY (\w+)/src /opt/faceline/\1/src$", target, re.M))
    allowed = {stage} | IMPORTS[stage] | {further for package in IMPORTS[stage] for further in IMPORTS[package]}
    assert {file.parts[0] for file in reached_by(stage)} <= copied <= allowed
    assert f'"faceline_{stage}"' in target


def test_one_service_a_stage():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {name: service["image"] for name, service in services.items()} == {n: f"faceline-{n}" for n in STAGES}
    assert {name: service["build"]["target"] for name, service in services.items()} == {n: n for n in STAGES}


def test_the_lock_is_whole_and_holds_one_opencv():
    blocks = (ROOT / "constraints.txt").read_text().split("\n\n")
    pins = [[line for line in block.splitlines() if line and not line.startswith("#")] for block in blocks]
    assert [len(block) > 0 for block in pins] == [False, True, True, True], "the Dockerfile takes the 2nd and 3rd block"
    flat = [pin for block in pins for pin in block]
    assert [pin for pin in flat if not re.fullmatch(r"[\w.-]+==[\w.+]+", pin)] == []
    assert [pin for pin in flat if pin.startswith("opencv")] == [p for p in flat if p.startswith("opencv-python-head")]
    assert any(pin.startswith("torch==") for pin in pins[1])


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_complete(recipe: Path):
    read_parameters(recipe, tuple(Parameters.model_fields))


@pytest.mark.parametrize("stage", STAGES)
def test_public_options_stay(stage: str):
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", run_help(stage).stdout)) == COMMON | OPTIONS[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_help_imports_nothing_heavy(stage: str):
    report = run_help(stage, "-X", "importtime").stderr
    assert {line.rsplit("|", 1)[-1].strip() for line in report.splitlines()} & HEAVY == set()
