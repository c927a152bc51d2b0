"""How much memory a stage may still take."""

import os
from pathlib import Path

_CONTAINER = Path("/sys/fs/cgroup")
"""Where control groups (version 2) say what a container has."""


def available_bytes() -> int:
    """Memory that can be had without swapping, as far as the system tells; a container's own limit counts."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = 1024 * int(lines["MemAvailable"].split()[0])
    left = _left_in_container()
    return free if left is None else min(free, left)


def _left_in_container() -> int | None:
    """What is left of the container's limit, files that are cached counting as free, as in MemAvailable; None where
    there is no limit."""
    limit, used = _CONTAINER / "memory.max", _CONTAINER / "memory.current"
    if not limit.is_file() or not limit.read_text().strip().isdigit():
        return None
    statistics = _CONTAINER / "memory.stat"
    cached = 0
    if statistics.is_file():
        lines = dict(line.split(maxsplit=1) for line in statistics.read_text().splitlines())
        cached = sum(int(lines.get(name, 0)) for name in ("active_file", "inactive_file"))
    return max(0, int(limit.read_text()) - max(0, int(used.read_text()) - cached))
