"""Labels of any of the formats, read and checked."""

from collections.abc import Callable, Mapping
from pathlib import Path

from faceline_core.errors import FacelineError
from faceline_detect.annotations.checking import checked, with_good_paths, with_sizes
from faceline_detect.annotations.coco import parse_coco
from faceline_detect.annotations.drafts import Draft
from faceline_detect.annotations.faults import Faults
from faceline_detect.annotations.kinds import Annotations
from faceline_detect.annotations.locating import locate
from faceline_detect.annotations.pictures import folder_of
from faceline_detect.annotations.retinaface_text import parse_retinaface
from faceline_detect.annotations.sidecar import merged, read_sidecar, sidecar_of
from faceline_detect.annotations.text import read_text
from faceline_detect.annotations.wider import parse_wider
from faceline_detect.annotations.yolo_folder import read_yolo

PARSERS: Mapping[str, Callable[[str, str, Faults], list[Draft]]] = {
    "wider": parse_wider,
    "retinaface": parse_retinaface,
    "coco": parse_coco,
}
"""By format, those whose labels are one file: text, its name, and what is told of faults, to drafts."""


def read_annotations(
    place: Path, kind: str | None = None, images: Path | None = None, skip_bad: bool = False
) -> Annotations:
    """Reads the labels of pictures with faces, and checks them and the pictures' sizes.

    Args:
        place: a label file, or a folder with one: label.txt, wider.txt, *bbx_gt.txt, a .json, data.yaml, or images/
            and labels/.
        kind: wider, retinaface, coco or yolo; None tells it by the content.
        images: the folder of pictures; None looks where `folder_of` says, and for YOLO where data.yaml says.
        skip_bad: go on where a label or a picture is wrong, instead of raising. A wrong face is ignored (`ignore`), so
            that it does not become background; a picture that cannot be used, or whose faces are not all known, is
            left out. Each has a line in `left_out`.

    Returns:
        What the labels say, pictures without faces and ignored faces among it.

    Raises:
        FacelineError: where there are no labels, or something is wrong with one of them or with a picture; it names
            the file and the line.
    """
    source, kind = locate(place, kind)
    faults = Faults(skip_bad)
    if images is not None and not images.is_dir():
        raise FacelineError(f"{images} is no folder. Name the one in which the pictures are")
    if kind == "yolo":
        drafts, folder, source = read_yolo(source, images, faults)
    else:
        drafts = with_good_paths(PARSERS[kind](read_text(source), str(source), faults), faults)
        sidecar = sidecar_of(source)
        records = read_sidecar(sidecar) if kind != "coco" else None
        if records is not None:
            drafts = merged(drafts, records, sidecar, faults)
        folder = images
        if drafts:
            folder = images or folder_of(source, [draft.path for draft in drafts], drafts[0].place)
            drafts = with_sizes(drafts, folder, faults)
    pictures = checked(drafts, faults)
    if not pictures:
        why = f": {faults.lines[0]}" if faults.lines else ""
        raise FacelineError(f"{source} has labels of no picture that can be used{why}. Name another label file")
    return Annotations(pictures, folder, source, tuple(faults.lines))
