"""What is done already, so that a stopped run goes on where it was."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from faceline_preprocess.finding import Found


class Notebook:
    """An append-only file with a line a photo, beside the pictures cut from them.

    A photo's pictures are on disk before its line is; a line that was cut short by a kill is dropped, and its photo
    done again.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / "photos.jsonl"

    def read(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The rows of those photos that are done, by key."""
        wanted = set(keys)
        rows: dict[str, dict[str, Any]] = {}
        whole = 0
        if self.file.exists():
            with self.file.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    whole += len(line)
                    row = _parsed(line)
                    if row is not None and row["key"] in wanted and self._has_pictures(row):
                        rows[row["key"]] = row
            with self.file.open("r+b") as lines:
                lines.truncate(whole)
        return rows

    def add(self, found: Found) -> None:
        """Notes a photo as done."""
        row = found.row | {"pictures": sorted(found.pictures)}
        for end, data in found.pictures.items():
            path = self.picture(row["key"], end)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        with self.file.open("ab") as lines:
            lines.write(json.dumps(row).encode() + b"\n")

    def picture(self, key: str, end: str) -> Path:
        """Where a picture of a photo lies: `1_0.0.jpg` is its first face, `1.png` that face's mask."""
        return self.folder / key[:2] / f"{key}_{end}"

    def _has_pictures(self, row: dict[str, Any]) -> bool:
        paths = [self.picture(row["key"], end) for end in row["pictures"]]
        return all(path.exists() and path.stat().st_size > 0 for path in paths)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and {"key", "pictures"} <= row.keys() else None
