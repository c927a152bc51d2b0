"""Outputs that appear whole or not at all, scratch folders to resume from, and hashes to recognise data by."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A file to write to; it takes `path`'s place in one step when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}.new")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people and for DVC: indented, NaN refused."""
    with written_beside(path) as beside:
        beside.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill; it takes `target`'s place when the block ends without an exception.

    Until then an earlier `target` stays as it is. The two renames at the end are the only moment at which a kill can
    leave no `target`; the earlier one then lies beside it as `.<name>.old`, and the next call puts it back first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    if old.exists():
        if target.exists():
            shutil.rmtree(old)
        else:
            old.rename(target)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        if target.exists():
            target.rename(old)
        beside.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def scratch_folder(root: Path, stage: str, key: Any, keep_others: bool = False) -> Path:
    """`<root>/.scratch/<stage>-<hash of key>`, made if need be; those of the stage with another key are removed.

    Args:
        root: data/ or artifacts/: what containers mount, and git and DVC ignore `.scratch` in.
        stage: the stage's name.
        key: what work done there depends on (parameters, data, code), JSON-serialisable.
        keep_others: leave those with another key; `forget_scratch` removes them later.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = root / ".scratch" / f"{stage}-{digest}"
    if not keep_others:
        forget_scratch(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def forget_scratch(folder: Path) -> None:
    """Removes the other scratch folders of the stage that `folder` belongs to."""
    stage = folder.name.rpartition("-")[0]
    for other in folder.parent.glob(f"{stage}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_hash(*packages: Path) -> str:
    """Hex SHA-256 over the Python files of some folders: names and bytes."""
    digest = hashlib.sha256()
    for package in packages:
        for file in sorted(package.rglob("*.py")):
            digest.update(str(file.relative_to(package)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
