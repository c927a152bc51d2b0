"""A split of what preprocess wrote, in whichever format."""

from pathlib import Path

from faceline_core.data.folder import FolderFaces
from faceline_core.data.part import of_people
from faceline_core.data.protocol import FaceSet
from faceline_core.data.recorded import open_recordio
from faceline_core.data.split import read_split


def open_processed(processed: Path, split: str, img_size: int, people: list[str] | None = None) -> FaceSet:
    """The faces of one split, sorted by person and file name.

    Args:
        processed: the folder that preprocess wrote.
        split: train, val, test, unseen_val or unseen.
        img_size: side in px that the faces must have.
        people: take these only, in this order; people of the list who have no faces here keep their place. None takes
            those found, sorted.

    Raises:
        FacelineError: where the folder or the split is missing, or damaged.
    """
    packed = open_recordio(processed, split, img_size)
    if packed is None:
        return FolderFaces(read_split(processed, split, people), img_size)
    return packed if people is None else of_people(packed, people)


def has_split(processed: Path, split: str) -> bool:
    """Whether there is such a split; those without faces are not written."""
    return (processed / split).is_dir() or (processed / f"{split}.rec").is_file()
