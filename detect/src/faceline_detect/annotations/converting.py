"""`faceline-detect convert`: labels of one format to those of another."""

from pathlib import Path

from faceline_core.stage.progress import say
from faceline_detect.annotations.kinds import Annotations
from faceline_detect.annotations.reading import read_annotations
from faceline_detect.annotations.summary import summarise
from faceline_detect.annotations.writing import Link, write_annotations

STAGE = "detect"
_SHOWN = 20
"""More lines of what was wrong are counted, not shown."""


def convert(
    source: Path,
    target: Path,
    kind: str,
    source_kind: str | None = None,
    images: Path | None = None,
    skip_bad: bool = False,
    link: Link | None = None,
) -> Annotations:
    """Reads and checks labels, writes them in another format, and says what they hold.

    Args:
        source, source_kind, images, skip_bad: as `read_annotations` takes them.
        target, kind, link: as `write_annotations` takes them.

    Returns:
        What was written.

    Raises:
        FacelineError: where the labels are wrong, or the target holds something else.
    """
    annotations = read_annotations(source, source_kind, images, skip_bad)
    written = write_annotations(annotations, target, kind, link)
    for line in annotations.left_out[:_SHOWN]:
        say(STAGE, f"note: {line}")
    if len(annotations.left_out) > _SHOWN:
        say(STAGE, f"note: {len(annotations.left_out) - _SHOWN} more like these")
    for line in summarise(annotations).lines():
        say(STAGE, line)
    say(STAGE, f"{annotations.source} -> {written}")
    if kind == "yolo" and link is None:
        say(STAGE, f"note: YOLO looks for the pictures in {target / 'images'}: link each there, or take --link-images")
    return annotations
