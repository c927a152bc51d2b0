"""Lists of pairs of photos: LFW's pairs.txt, and tables."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_core.faces import SUFFIXES

_COLUMNS = ("file_a", "file_b", "same")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class Pair:
    """Two photos, and whether they show one person."""

    first: Path
    second: Path
    same: bool


def read_pairs(file: Path, folder: Path) -> list[Pair]:
    """Pairs in the order of the file.

    A `.csv` has the columns `file_a`, `file_b` (photos, relative to `folder`) and `same` (1 or 0). Any other file is
    text as LFW has it: a first line `<folds> <n>` or `<n>`, then lines `<person> <i> <j>` of one person's photos i and
    j, and `<person> <i> <other person> <j>`. Photo i of a person is `<folder>/<person>/<person>_000i.jpg`, or has
    another ending of photos.

    Raises:
        FacelineError: where the file or a photo is missing, a line is no pair, or there are not as many pairs as the
            first line says; it names the line.
    """
    if not folder.is_dir():
        raise FacelineError(f"{folder} is not there. Name the folder with the photos")
    if not file.is_file():
        raise FacelineError(f"{file} is not there. Name a list of pairs: text as LFW's pairs.txt, or a .csv")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FacelineError(f"{file} is not UTF-8 text (byte {error.start}). Save it as UTF-8") from None
    reader = _of_table if file.suffix.lower() == ".csv" else _of_text
    pairs = list(reader(file, text, folder))
    if not pairs:
        raise FacelineError(f"{file} lists no pairs. Add some")
    return pairs


def _of_text(file: Path, text: str, folder: Path) -> Iterator[Pair]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    promised = None
    first = lines[0][1].split() if lines else []
    if len(first) in (1, 2) and all(word.isdecimal() for word in first):  # more are a pair of people named by numbers
        words = [int(word) for word in lines.pop(0)[1].split()]
        folds, each = words if len(words) == 2 else (1, words[0])
        promised = folds * 2 * each
    if promised is not None and promised != len(lines):
        raise FacelineError(f"{file}: the first line says {promised} pairs, found {len(lines)}. Copy the list again")
    people = _People(folder)
    for number, line in lines:
        words = [word.strip() for word in line.split("\t")] if "\t" in line else line.split()
        if len(words) == 3:
            words.insert(2, words[0])
        if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
            raise _fault(file, number, "expected <person> <i> <j>, or <person> <i> <other person> <j>")
        person, i, other, j = words
        photos = []
        for who, which in ((person, int(i)), (other, int(j))):
            photo = people.photo(who, which)
            if photo is None:
                raise _fault(file, number, f"{folder / who} has no photo {who}_{which:04}")
            photos.append(photo)
        yield _pair(file, number, *photos, same=person == other)


def _of_table(file: Path, text: str, folder: Path) -> Iterator[Pair]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if any(column not in (reader.fieldnames or ()) for column in _COLUMNS):
        found = ", ".join(reader.fieldnames or ()) or "nothing"
        raise FacelineError(f"{file}: line 1 must name the columns {', '.join(_COLUMNS)}, found {found}")
    for row in reader:
        first, second, flag = ((row[column] or "").strip() for column in _COLUMNS)
        for photo in (first, second):
            if not photo or not (folder / photo).is_file():
                raise _fault(file, reader.line_num, f"{folder / photo} is no file")
        if flag.lower() not in _FLAGS:
            raise _fault(file, reader.line_num, f"expected 1 or 0 under same, found {flag or 'nothing'}")
        yield _pair(file, reader.line_num, folder / first, folder / second, _FLAGS[flag.lower()])


def _pair(file: Path, line: int, first: Path, second: Path, same: bool) -> Pair:
    if first == second:
        raise _fault(file, line, f"pairs {first} with itself")
    return Pair(first, second, same)


class _People:
    """Finds numbered photos; a person's folder is listed once."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.photos: dict[str, dict[str, Path]] = {}

    def photo(self, person: str, number: int) -> Path | None:
        if person not in self.photos:
            place = self.folder / person
            files = sorted(place.iterdir(), reverse=True) if place.is_dir() else []
            self.photos[person] = {file.stem: file for file in files if file.suffix.lower() in SUFFIXES}
        return self.photos[person].get(f"{person}_{number:04}")


def _fault(file: Path, line: int, what: str) -> FacelineError:
    return FacelineError(f"{file}: line {line}: {what}. Mend the list, or take the line out")
