"""ultralytics let in for a while: imported late, offline, quiet, and what it changes in this process put back.

Its import sets OMP_NUM_THREADS, the threads of torch and OpenCV, print options and warning filters, and replaces
`torch.save` and `PIL.Image.open` (the latter would install a package where a file is no picture). By its own settings
it would look up a name on the network, keep a folder in the user's home, fetch a font for its plots, tell its makers
what is done with it, and hand every run to whichever trackers are installed.
"""

import importlib
import json
import logging
import os
import random
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from faceline_core.errors import FacelineError
from faceline_core.stage.progress import say

INSTALL = (
    ".venv/bin/pip install --no-deps ultralytics==8.4.190 ultralytics-thop==2.2.3 polars==2.1.0 "
    "polars-runtime-32==2.1.0"
)
"""How it is installed without opencv-python, which would overwrite files of opencv-python-headless."""

_ENVIRONMENT = {
    "YOLO_OFFLINE": "true",  # else it looks up names to see whether there is a network
    "YOLO_AUTOINSTALL": "false",  # what is missing is an error, and not installed meanwhile
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",  # weights go through torch's restricted unpickler: no code of a file runs
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
_NOT_SHOWN = ("ULTRALYTICS_API_KEY", "WORLD_SIZE", "RANK", "LOCAL_RANK")
"""With the key it would report to its makers' service; by the others it would wait for processes of ours."""
_SETTINGS = {
    "settings_version": "0.0.8",
    "uuid": "",
    "sync": False,
    "api_key": "",
    "openai_api_key": "",
    **dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"), False),
    "vscode_msg": False,
    "openvino_msg": False,
}
_OF_NO_CONCERN = ("non-deterministic", "NMS time limit")
"""In its warnings. Order is seeded anew each epoch; a slow machine may cost a validation some boxes."""


@contextmanager
def ultralytics_at_work() -> Iterator[Any]:
    """The package `ultralytics`, for the length of a block; blocks do not nest.

    Its first import takes half a second. Afterwards environment, threads, random numbers, deterministic algorithms and
    the functions that it replaced are as they were, and its folder is gone. What it built may be used on.

    Raises:
        FacelineError: where it is not installed, or not whole; with the command that installs it.
    """
    environment, put_back = dict(os.environ), _state()
    try:
        for name in _NOT_SHOWN:
            os.environ.pop(name, None)
        os.environ.update(_ENVIRONMENT)
        with _folder(), warnings.catch_warnings(), np.printoptions():
            yield _imported()
    finally:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)
        put_back()


def _imported() -> Any:
    try:
        ultralytics = importlib.import_module("ultralytics")
        importlib.import_module("ultralytics.models.yolo")
    except ImportError as error:
        reason = "is not installed" if error.name == "ultralytics" else f"does not load ({error})"
        raise FacelineError(f"detector: yolo needs ultralytics (AGPL-3.0), which {reason}. Run {INSTALL}") from None
    logger = logging.getLogger("ultralytics")
    logger.handlers = [_Said(logging.WARNING)]
    logger.setLevel(logging.WARNING)
    return ultralytics


class _Said(logging.Handler):
    """Its warnings as lines of the stage."""

    def emit(self, record: logging.LogRecord) -> None:
        message = " ".join(record.getMessage().split())
        if not any(words in message for words in _OF_NO_CONCERN):
            say("detect", f"ultralytics: {message}")


@cache
def _root() -> Path:
    """Where its folder is while it works: it reads the name once, at its import."""
    return Path(tempfile.gettempdir()) / f"faceline-ultralytics-{uuid.uuid4().hex}"


@contextmanager
def _folder() -> Iterator[None]:
    """Its folder, with settings that keep it to itself, and with the font of its plots."""
    root = _root()
    folder = root / "Ultralytics"
    os.environ["YOLO_CONFIG_DIR"] = str(root)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        places = {f"{name}_dir": str(root / name) for name in ("datasets", "weights", "runs")}
        (folder / "settings.json").write_text(json.dumps({**_SETTINGS, **places}))
        yield
    finally:
        shutil.rmtree(root, ignore_errors=True)


def put_font_in_place() -> None:
    """Within a block: the font that its plots ask for, and would download. It is matplotlib's own, by that name."""
    import matplotlib

    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copyfile(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", _root() / "Ultralytics" / name)


def _state() -> Any:
    """What it changes in this process; called, it is put back."""
    threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    numbers, numpy_numbers, torch_numbers = random.getstate(), np.random.get_state(), torch.get_rng_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill, cudnn = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.deterministic  # type: ignore[attr-defined]
    save, opening = torch.save, Image.open

    def put_back() -> None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(opencv_threads)
        random.setstate(numbers)
        np.random.set_state(numpy_numbers)
        torch.set_rng_state(torch_numbers)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic = cudnn
        torch.save, Image.open = save, opening

    return put_back
