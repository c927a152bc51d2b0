"""The columns of predictions.csv."""

from collections.abc import Sequence

from faceline_evaluate.prediction.candidates import Candidate

TOP = 5
_BOX = ("box_x1", "box_y1", "box_x2", "box_y2")
_NEXT = [(f"person_{rank}", f"probability_{rank}") for rank in range(2, TOP + 1)]
COLUMNS = (
    *("file", "face", "status", "reason", *_BOX, "score"),
    *("person", "probability", "nearest_person", "similarity"),
    *(name for pair in _NEXT for name in pair),
)
"""docs/predict.md says what each holds."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so, a spreadsheet takes for a formula, and may run."""


def place_cells(candidate: Candidate) -> dict[str, str]:
    """Which face of which file, and what became of it."""
    file, rejection, face = candidate.file.as_posix(), candidate.rejection, candidate.face
    cells = {
        "file": f"./{file}" if file.startswith(_FORMULA) else file,
        "face": "" if candidate.number is None else str(candidate.number),
        "status": "used" if rejection is None else "rejected",
        "reason": "" if rejection is None else rejection.reason,
    }
    if face is not None:
        cells |= {name: f"{edge:.2f}" for name, edge in zip(_BOX, face["box"], strict=True)}
        cells["score"] = f"{face['score']:.6f}"
    return cells


def people_cells(probabilities: Sequence[float], people: Sequence[str]) -> dict[str, str]:
    """The most probable people, first first; five, or all where fewer are known."""
    names = [("person", "probability"), *_NEXT]
    cells: dict[str, str] = {}
    for (person, probability), name, value in zip(names, people, probabilities, strict=False):
        cells |= {person: as_text(name), probability: f"{value:.6f}"}
    return cells


def nearest_cells(person: str, similarity: float) -> dict[str, str]:
    """The most alike person and the cosine of the angle between both embeddings."""
    return {"nearest_person": as_text(person), "similarity": f"{similarity:.6f}"}


def as_text(name: str) -> str:
    """A name as a spreadsheet shows it and does not run it: one that would be a formula gets a ' before it.

    So does one that begins with ' itself: taking one ' away gives the name back.
    """
    return f"'{name}" if name.startswith((*_FORMULA, "'")) else name
