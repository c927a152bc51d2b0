"""Worker processes that can be stopped at once, and whose death is noticed."""

import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

from faceline_core.errors import FacelineError

if TYPE_CHECKING:
    from faceline_preprocess.finding import Found, Settings, Task

CHUNK = 16
"""Photos that a worker takes at a time: those of one size go through the detector together."""

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}


def find_faces(tasks: Sequence["Task"], settings: "Settings", workers: int) -> Iterator["Found"]:
    """Works through photos, in this process or in others; the results come in any order.

    Args:
        tasks: what there is to do.
        settings: the same for all.
        workers: processes of one thread each; 0 works in this process.

    Raises:
        FacelineError: where the detector does not do, or a worker process dies, as when the machine runs out of memory.
    """
    if not tasks:
        return
    if workers == 0:
        from faceline_preprocess.finding import Finder

        yield from Finder(settings).find(tasks)
        return
    size = max(1, min(CHUNK, -(-len(tasks) // (2 * workers))))
    chunks = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    members: dict[Connection, SpawnProcess] = {}
    try:
        _start(members, min(workers, len(chunks)), settings)
        yield from _shared_out(chunks, members)
    finally:
        for process in members.values():
            process.kill()
        for connection, process in members.items():
            process.join()
            connection.close()


def _start(members: dict[Connection, SpawnProcess], count: int, settings: "Settings") -> None:
    """Starts processes that leave Ctrl-C and SIGTERM to this one: both are blocked while they are started."""
    context = get_context("spawn")
    resource_tracker.ensure_running()  # it would unblock the signals
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, settings), daemon=True)
            process.start()
            theirs.close()
            members[ours] = process
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _shared_out(chunks: list[Sequence["Task"]], members: dict[Connection, SpawnProcess]) -> Iterator["Found"]:
    """Gives each worker a chunk, and the next one with each answer."""
    waiting = list(reversed(chunks))
    busy: dict[Connection, Sequence[Task]] = {}
    for connection in members:
        busy[connection] = waiting.pop()
        with suppress(BrokenPipeError):  # it died; reading notices
            connection.send(busy[connection])
    while busy:
        for connection in wait(list(busy)):
            assert isinstance(connection, Connection)
            try:
                answer = connection.recv()
            except (EOFError, ConnectionResetError):
                raise _death(members[connection], busy[connection]) from None
            if isinstance(answer, FacelineError):
                raise answer
            if isinstance(answer, str):
                raise RuntimeError(f"a worker process failed:\n{answer}")
            del busy[connection]
            if waiting:
                busy[connection] = waiting.pop()
                with suppress(BrokenPipeError):
                    connection.send(busy[connection])
            yield from answer


def _death(process: SpawnProcess, chunk: Sequence["Task"]) -> FacelineError:
    process.join()
    code = process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    why = " (the machine may be out of memory)" if code == -signal.SIGKILL else ""
    return FacelineError(
        f"a worker process died of {how}{why}, at one of {len(chunk)} photos from {chunk[0].path} to {chunk[-1].path}. "
        "Run it again with a lower preprocess.num_workers: it goes on where it was"
    )


def _serve(connection: Connection, settings: "Settings") -> None:
    """A worker's life: one thread, chunk after chunk until the other side closes."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "64"  # or memory grows with every new photo size
    try:
        import cv2
        import torch

        from faceline_preprocess.finding import Finder

        cv2.setNumThreads(0)
        torch.set_num_threads(1)
        finder = Finder(settings)
        while True:
            connection.send(list(finder.find(connection.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the stage has ended
    except FacelineError as error:
        connection.send(error)
    except BaseException:
        connection.send(traceback.format_exc())
