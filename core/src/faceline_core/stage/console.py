"""The thin command line that every stage wears."""

import argparse
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from faceline_core import __version__
from faceline_core.errors import FacelineError
from faceline_core.parameters import StageParameters, read_parameters


def stage_parser(stage: str, description: str) -> argparse.ArgumentParser:
    """The options that all stages share: --params, --debug, --version."""
    parser = argparse.ArgumentParser(
        prog=f"faceline-{stage}",
        description=description,
        epilog=f"Settings are in params.yaml; what they mean: {stage}/README.md",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameters (default: params.yaml)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"faceline-{stage} {__version__}")
    return parser


def run_stage(stage: str, description: str, keys: Sequence[str], function: Callable[[StageParameters], object]) -> int:
    """A stage that takes nothing but its parameters: reads them, runs, and turns errors into one line.

    Args:
        stage: its name, as in `./stage NAME`.
        description: a sentence for --help.
        keys: the parameters that it uses.
        function: the stage's work, called with them.

    Returns:
        The exit code: 0, 1 after an error that the user can mend, 130 where it was stopped.
    """
    options = stage_parser(stage, description).parse_args()
    return guarded(stage, lambda: function(read_parameters(options.params, keys)), debug=options.debug)


def guarded(stage: str, work: Callable[[], object], debug: bool = False) -> int:
    """Runs the work of a command; an error that the user can mend becomes one line on stderr, and exit code 1."""
    # Read when torch is loaded, which is later. A thread that waits for others by spinning takes the core from whom it
    # waits for as soon as anything else runs; one that falls asleep at once wakes late. A short spin does neither: a
    # training step took 53 ms alone and 117 beside a busy process (asleep 84 and 98, by default 57 and 197).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would look for updates on the network
    signal.signal(signal.SIGTERM, _stop)  # as process 1 of a container, SIGTERM would be ignored
    try:
        work()
    except FacelineError as error:
        return _report(stage, str(error), debug)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        place = error.filename or Path.cwd()
        cure = "Make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Make it writable"
        return _report(stage, f"{place}: {(error.strerror or 'failed').lower()}. {cure} and run it again", debug)
    except KeyboardInterrupt:
        print(f"[{stage}] stopped; run it again to go on", file=sys.stderr, flush=True)
        return 130
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report(stage: str, message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if os.environ.get("DVC_STAGE"):  # DVC removes a stage's outputs before it runs its command
        message += " (`dvc checkout` brings the earlier outputs back)"
    print(f"[{stage}] error: {message}", file=sys.stderr, flush=True)
    return 1
