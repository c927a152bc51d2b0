"""Fetches a file of weights once, whole or not at all."""

import hashlib
import shutil
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from faceline_core.errors import FacelineError
from faceline_core.stage.files import sha256_of, written_beside

_PATIENCE = 30.0  # s without a byte until a download counts as failed


def downloaded(url: str, folder: Path, sha256_start: str = "") -> Path:
    """The file behind a URL, kept in a folder; what is there already is not fetched again.

    Args:
        url: http or https.
        folder: where downloads are kept.
        sha256_start: the first hex digits of its SHA-256, if they are known: a file with others is not used. Without
            them the file lies in a subfolder of its own for this URL, since many sites have a `model.pth`.

    Raises:
        FacelineError: where it cannot be fetched whole; it says which file to put where.
    """
    place = folder if sha256_start else folder / hashlib.sha256(url.encode()).hexdigest()[:8]
    path = place / Path(urlsplit(url).path).name
    if path.is_file() and sha256_of(path).startswith(sha256_start):
        return path
    try:
        with written_beside(path) as beside:
            _fetch(url, beside)
            found = sha256_of(beside)
            if not found.startswith(sha256_start):
                raise HTTPException(f"its SHA-256 starts with {found[:8]} instead of {sha256_start}")
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise FacelineError(
            f"weights: {url} could not be fetched ({error}). "
            f"Fetch the file elsewhere and put it at {path}, or set weights: <the file>"
        ) from None
    return path


def _fetch(url: str, target: Path) -> None:
    with urlopen(url, timeout=_PATIENCE) as answer, target.open("wb") as file:  # noqa: S310 (checked by the caller)
        shutil.copyfileobj(answer, file, 1 << 20)
    promised = answer.headers.get("Content-Length")
    if promised is not None and target.stat().st_size != int(promised):
        raise HTTPException(f"the connection broke after {target.stat().st_size} of {promised} bytes")
