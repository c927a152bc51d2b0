"""Progress: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def say(stage: str, message: str) -> None:
    """One line of a stage's output: `[train] 25 people, ...`."""
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
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == 1:
            start = last = now  # the first item waits for everything to start up, and says nothing about the rest
        if now - last >= seconds and done < total:
            last, rate = now, (done - 1) / (now - start)
            say(stage, f"{done}/{total} {noun}, {rate:.1f} a second, {(total - done) / rate:.0f} s left")
