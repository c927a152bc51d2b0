"""A throw-away clone of the working tree as it stands, committed or not:  python throw_away.py FOLDER

Its params.yaml is that of the tree with values that run in seconds.
"""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copy2
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "img_size": 64,
    "epochs": 1,
    "batch_size": 8,
    "lr": 0.002,
    "sample": {"people": 6, "photos": 8, "scenes": 8},
    "detect": {
        "retinaface": {"side": 64, "epochs": 1, "batch_size": 2},
        "yolo": {"side": 64, "epochs": 1, "batch_size": 2},
    },
    "preprocess": {"unseen_identities": 0.34, "val_ratio": 0.15, "test_ratio": 0.3},
    "evaluate": {"bootstrap": 10},
}


def git(*arguments: str, folder: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return values | {
        key: changed(values[key], value) if isinstance(value, dict) else value for key, value in changes.items()
    }


def clone(folder: Path) -> None:
    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=ROOT).split("\0"):
        if name and os.path.lexists(ROOT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy2(ROOT / name, folder / name, follow_symlinks=False)
    (folder / "dvc.lock").unlink(missing_ok=True)  # of a run in the tree itself
    values = yaml.safe_load((folder / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(changed(values, SMALL), sort_keys=False))
    git("init", "--quiet", "--initial-branch=main", folder=folder)
    git("config", "user.name", "Test", folder=folder)
    git("config", "user.email", "test@example.org", folder=folder)
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message=The tree as it stands", folder=folder)


if __name__ == "__main__":
    clone(Path(sys.argv[1]))
