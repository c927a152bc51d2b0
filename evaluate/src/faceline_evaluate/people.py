"""Who is measured: the people a recogniser knows, and people it has never seen."""

from dataclasses import dataclass
from pathlib import Path

from faceline_core.data.processed import has_split, open_processed
from faceline_core.data.protocol import FaceSet
from faceline_core.errors import FacelineError
from faceline_core.stage.progress import say

UNKNOWN = ("unseen_val", "unseen")
_NAMED = 5
"""More people than this are counted in an error, not named."""


@dataclass(frozen=True)
class People:
    """The splits to measure on.

    Attributes:
        known: photos of people that the recogniser was trained on; None where it knows none of them.
        unknown: `unseen_val` and `unseen`; empty where preprocess held nobody back.
    """

    known: FaceSet | None
    unknown: dict[str, FaceSet]

    def named(self, known: str) -> dict[str, FaceSet]:
        """All splits by name; that of the known people is called `known`."""
        return self.unknown | ({known: self.known} if self.known is not None else {})


def find_people(processed: Path, split: str, classes: list[str], img_size: int, checkpoint: Path) -> People:
    """Opens the splits, and notes on the console who goes unmeasured.

    Args:
        processed: the folder that preprocess wrote.
        split: where photos of the known people lie: val or test.
        classes: the people that the recogniser was trained on.
        img_size: side in px of the faces that it takes.
        checkpoint: its file, for messages.

    Raises:
        FacelineError: where a split is missing, where people to measure as unknown were trained on, and where nobody
            is left to measure.
    """
    everybody = open_processed(processed, split, img_size)
    held_back = any(has_split(processed, name) for name in UNKNOWN)
    unknown = {name: open_processed(processed, name, img_size) for name in UNKNOWN} if held_back else {}
    _check_unknown(processed, unknown, classes, checkpoint)
    if not held_back:
        _note("nobody is held back (that takes six people): unknown people go unmeasured, no threshold is chosen")
    present = _with_faces(everybody)
    strangers = present - set(classes)
    if strangers != present:
        if strangers:
            _note(f"{len(strangers)} of {len(present)} people of {split} were not trained on: they are left out")
        return People(open_processed(processed, split, img_size, classes), unknown)
    if not unknown:
        raise FacelineError(
            f"{checkpoint} was trained on none of the {len(present)} people of {processed / split}, and nobody is held "
            f"back: there is nobody to measure. Give a checkpoint that was trained on {processed}: dvc repro train"
        )
    _note(f"{checkpoint} was trained on none of the {len(present)} people of {split}: known people go unmeasured")
    return People(None, unknown)


def _check_unknown(processed: Path, unknown: dict[str, FaceSet], classes: list[str], checkpoint: Path) -> None:
    trained_on = {name: sorted(_with_faces(faces) & set(classes)) for name, faces in unknown.items()}
    for name, people in trained_on.items():
        if people:
            more = f" and {len(people) - _NAMED} more" if len(people) > _NAMED else ""
            raise FacelineError(
                f"{checkpoint} was trained on people of {processed / name}: {', '.join(people[:_NAMED])}{more}. They "
                f"cannot be measured as unknown. Give a checkpoint that was trained on {processed / 'train'}, or move "
                "these people's faces away"
            )


def _with_faces(faces: FaceSet) -> set[str]:
    return {faces.classes[label] for label in faces.labels}


def _note(message: str) -> None:
    say("evaluate", f"note: {message}")
