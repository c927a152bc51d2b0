"""What the faces that a detector finds depend on, and from which score on they count: known without loading it."""

import hashlib
from pathlib import Path

from faceline_core.stage.files import code_hash, sha256_of
from faceline_detect.detectors import FOLDER
from faceline_detect.detectors.folders import read_description

_PACKAGE = Path(__file__).parents[1]
_CODE = {
    "mtcnn": ("detectors",),
    "retinaface": ("detectors", "searching", "retinaface"),
    "yolo": ("detectors", "searching", "yolo"),
    "fused": ("detectors", "searching", "retinaface", "yolo", "fusion"),
}
_MTCNN_CONFIDENCE = 0.9


def identity(name: str) -> list[str]:
    """Hashes of a detector's code and of all that its folder below FOLDER holds.

    Args:
        name: one of NAMES. MTCNN needs no folder: of it the version of the package that brings its weights stands
            there.

    Raises:
        FacelineError: where the folder is missing or broken, or the detector was not trained.
    """
    code = code_hash(*(_PACKAGE / part for part in _CODE[name]))
    if name == "mtcnn":
        from importlib.metadata import version

        return [code, version("facenet-pytorch")]
    read_description(FOLDER / name, name)
    return [code, _folder_hash(FOLDER / name)]


def working_confidence(name: str) -> float:
    """The score from which on a detector's faces count: `detect.test.working_confidence` of the last run of detect,
    and 0.9 for MTCNN.

    Raises:
        FacelineError: as `identity`.
    """
    if name == "mtcnn":
        return _MTCNN_CONFIDENCE
    return float(read_description(FOLDER / name, name)["search"]["confidence"])


def _folder_hash(folder: Path) -> str:
    """Hex SHA-256 over the files of a folder: names and bytes."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()
