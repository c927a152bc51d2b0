"""The photos of a data set, as they lie on disk."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES
from faceline_core.stage.files import sha256_of


@dataclass(frozen=True)
class Photo:
    """A photo of a person.

    Attributes:
        path: the file, as the user would type it.
        identity: the person: the folder's name.
        sha256: of the file's bytes, hex.
        mask: its visibility mask, where the data set has one.
        mask_sha256: of the mask's bytes; empty where there is none.
    """

    path: Path
    identity: str
    sha256: str
    mask: Path | None = None
    mask_sha256: str = ""

    @property
    def key(self) -> str:
        """What the work on this photo depends on: its bytes and its mask's."""
        return f"{self.sha256}-{self.mask_sha256[:16]}" if self.mask else self.sha256


@dataclass(frozen=True)
class Listing:
    """All photos sorted by path, the people sorted by name, and how many files of each other kind lie beside them."""

    photos: list[Photo]
    people: list[str]
    skipped: Counter[str]


def list_photos(data: Path) -> Listing:
    """Reads `<data>/recognition/people/<identity>/<photo>` and `<data>/recognition/masks/<identity>/<photo>.png`.

    Hidden files and folders are passed over; files with other endings than photos have, files beside the people's
    folders and folders within them are counted as skipped.

    Raises:
        FacelineError: where there are no people or no photos.
    """
    folder = data / "recognition" / "people"
    if not folder.is_dir():
        cure = "draw the sample: dvc repro sample" if data.name == "sample" else f"put photos into {folder}/<person>/"
        raise FacelineError(f"{folder} is not there. Set `data` in params.yaml to your data set, or {cure}")
    masks = data / "recognition" / "masks"
    photos: list[Photo] = []
    people: list[str] = []
    skipped: Counter[str] = Counter()
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            skipped["beside the people's folders"] += 1
            continue
        people.append(entry.name)
        photos += _photos_of(entry, masks / entry.name, skipped)
    if not people:
        raise FacelineError(f"{folder} holds no folders. Put each person's photos into a folder of its own there")
    if not photos:
        found = f", only {_described(skipped)}" if skipped else ""
        raise FacelineError(
            f"{folder} holds no photos{found}. Put .jpg, .png, .webp, .bmp or .tif files into {folder}/<person>/"
        )
    return Listing(photos, people, skipped)


def describe_skipped(listing: Listing) -> str:
    """`.txt 2, .db 1`; empty where nothing was skipped."""
    return _described(listing.skipped)


def _photos_of(folder: Path, masks: Path, skipped: Counter[str]) -> list[Photo]:
    photos = []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):
            continue
        if file.is_dir():
            skipped["folders within a person's"] += 1
        elif not file.is_file():
            skipped["links to nothing"] += 1
        elif file.suffix.lower() not in SUFFIXES:
            skipped[file.suffix.lower() or "no ending"] += 1
        else:
            mask = next(
                (path for path in (masks / f"{file.name}.png", masks / f"{file.stem}.png") if path.exists()), None
            )
            photos.append(Photo(file, folder.name, sha256_of(file), mask, sha256_of(mask) if mask is not None else ""))
    return photos


def _described(skipped: Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in skipped.most_common())
