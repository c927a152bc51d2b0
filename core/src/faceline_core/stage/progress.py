"""Progress: a bar on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from faceline_core.stage.processes import is_first

Item = TypeVar("Item")


def say(stage: str, message: str) -> None:
    """One line of a stage's output: `[train] 25 people, ...`. Of processes that train together the first speaks."""
    if is_first():
        print(f"[{stage}] {message}", flush=True)


def progress(
    items: Iterable[Item],
    total: int,
    stage: str,
    noun: str,
    seconds: float = 5.0,
    count: Callable[[Item], int] = lambda _: 1,
) -> Iterator[Item]:
    """Passes items on, and shows how far it is.

    Args:
        items: what is worked through.
        total: how many there will be.
        stage: the stage's name, for the line's prefix.
        noun: what is counted, in the plural: `photos`.
        seconds: the time between two lines where the output is no terminal.
        count: how many of those an item is: `len` of a list of photos.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=f"[{stage}] {noun}", unit="", dynamic_ncols=True, leave=False) as bar:
            for item in items:
                yield item
                bar.update(count(item))
        return
    first = last = time.monotonic()
    done = begun = 0
    for item in items:
        yield item
        now = time.monotonic()
        done += count(item)
        if not begun:
            first, begun = now, done  # it waits for everything to start up, and tells nothing of the rate
        if now - last >= seconds and done < total:
            last, rate = now, (done - begun) / max(now - first, 1e-9)
            left = f", {rate:.1f} a second, {(total - done) / rate:.0f} s left" if rate else ""
            say(stage, f"{done}/{total} {noun}{left}")
