"""Photos to a table of who is in them, batch after batch."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faceline_core.errors import FacelineError
from faceline_core.models.checkpoint import load_recogniser
from faceline_core.models.recogniser import Recogniser
from faceline_core.parameters import StageParameters
from faceline_core.stage.files import written_beside
from faceline_core.stage.progress import say
from faceline_evaluate.devices import find_device
from faceline_evaluate.prediction.candidates import Candidate, aligned_faces, faces_of_photos, turned_away
from faceline_evaluate.prediction.listing import described, list_photos
from faceline_evaluate.prediction.nearest import nearest, person_embeddings
from faceline_evaluate.prediction.rows import COLUMNS, TOP, nearest_cells, people_cells, place_cells

_BATCH = 64
_NO_TEXT = "backslashreplace"
"""Names of files are bytes; those that are no text are written as \\udcff."""


def predict(
    place: Path, checkpoint: Path, output: Path, parameters: StageParameters | None = None, device: str = "auto"
) -> Counter[str]:
    """Names the faces of photos, and writes a row a face.

    A photo without a face, one that does not decode, and a face that a limit turns away are rows with a reason and no
    person. The table is written beside `output` and takes its place at the end.

    Args:
        place: a photo, or a folder that is searched with all below it.
        checkpoint: the recogniser's file.
        output: the table, CSV; rows.COLUMNS are its columns.
        parameters: what faceline_evaluate.PREDICT_KEYS names. None takes the images as aligned faces.
        device: where detector and recogniser run; `auto` is cuda where there is one.

    Returns:
        How many rows there are of each kind: `used`, and each kind of rejection.

    Raises:
        FacelineError: where there is no photo or no recogniser, and where `device` or `output` does not do.
    """
    if output.is_dir() or not next(folder for folder in output.parents if folder.exists()).is_dir():
        raise FacelineError(f"--output {output}: a file to write was expected, it is a folder or lies in a file")
    where = find_device(device)
    listing = list_photos(place)
    recogniser, content = load_recogniser(checkpoint)
    recogniser.to(where)
    size, people = recogniser.img_size, len(recogniser.classes)
    noun = "aligned faces" if parameters is None else "photos"
    say("evaluate", f"{checkpoint}: {people} people, faces of {size} px; {len(listing.photos)} {noun}, {where}")
    if listing.skipped:
        say("evaluate", f"note: skipped what is no photo: {described(listing.skipped)}")
    gallery = person_embeddings(recogniser, content)
    if gallery is None:
        say("evaluate", f"note: {checkpoint} holds no embeddings of its people, as best_model.pth does: no similarity")
    if parameters is None:
        candidates = aligned_faces(listing.photos, size)
    else:
        candidates = faces_of_photos(listing.photos, parameters, size, where)
    counts: Counter[str] = Counter(used=0)
    with written_beside(output) as beside, beside.open("w", newline="", encoding="utf-8", errors=_NO_TEXT) as file:
        table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        table.writeheader()
        for batch in _batches(candidates):
            table.writerows(_rows(batch, recogniser, gallery, where))
            counts += turned_away(batch)
            counts["used"] += sum(candidate.crop is not None for candidate in batch)
    rejected = counts - Counter(used=counts["used"])
    say("evaluate", f"{counts['used']} faces named" + (f"; turned away: {described(rejected)}" if rejected else ""))
    say("evaluate", f"a row a face, each with its reason -> {output}")
    return counts


def _batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """As many as hold _BATCH faces: PyTorch keeps memory for every other number of faces that it sees."""
    batch: list[Candidate] = []
    faces = 0
    for candidate in candidates:
        batch.append(candidate)
        faces += candidate.crop is not None
        if faces == _BATCH or len(batch) == 16 * _BATCH:
            yield batch
            batch, faces = [], 0
    if batch:
        yield batch


def _rows(
    batch: list[Candidate], recogniser: Recogniser, gallery: Tensor | None, device: torch.device
) -> list[dict[str, str]]:
    rows = [place_cells(candidate) for candidate in batch]
    crops = {index: candidate.crop for index, candidate in enumerate(batch) if candidate.crop is not None}
    if not crops:
        return rows
    images = torch.from_numpy(np.stack(list(crops.values()))).permute(0, 3, 1, 2)
    names = recogniser.classes
    with torch.inference_mode():
        probabilities, unit, _ = recogniser.recognise(images.to(device))
        best = probabilities.topk(min(TOP, len(names)), dim=1)
        alike = None if gallery is None else nearest(unit, gallery.to(device))
    for position, index in enumerate(crops):
        who = [names[label] for label in best.indices[position].tolist()]
        rows[index] |= people_cells(best.values[position].tolist(), who)
        if alike is not None:
            cosines, whose = alike
            rows[index] |= nearest_cells(names[int(whose[position])], float(cosines[position]))
    return rows
