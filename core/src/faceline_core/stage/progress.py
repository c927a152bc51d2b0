"""Progress: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from faceline_core.stage.processes import is_first

Item = TypeVar("Item")


def say(stage: str, message: str) -> None:
    """One line of a stage's output: `[train] 25 people, ...`. Of processes that train together the first speaks."""
    if is_first():
        print(f"[{stage}] {message}", flush=True)


def progress(items: Iterable[Item], total: int, stage: str, noun: str, seconds: float = 5.0) -> Iterator[Item]:
    """Passes items on, and shows how far it is.

    Args:
        items: what is worked through.
        total: how many there will be.
        stage: the stage's name, for the line's prefix.
        noun: what an item is, in the plural: `photos`.
        seconds: the time between two lines where the output is no terminal.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=f"[{stage}] {noun}", unit="", dynamic_ncols=True, leave=False)
        return
    first = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == 1:
            first = now  # it waits for everything to start up, and tells nothing of the rate
        if now - last >= seconds and done < total:
            last, rate = now, (done - 1) / max(now - first, 1e-9)
            left = f", {rate:.1f} a second, {(total - done) / rate:.0f} s left" if rate else ""
            say(stage, f"{done}/{total} {noun}{left}")
