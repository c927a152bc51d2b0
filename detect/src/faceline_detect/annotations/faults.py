"""What is wrong with labels: the first fault is an error, or all of them are counted."""

from faceline_core.errors import FacelineError


class Faults:
    """Takes faults as they are found.

    Args:
        skip_bad: keep a line of each and go on, instead of raising at the first.

    Attributes:
        lines: one for each fault, with what became of the face or the picture.
    """

    def __init__(self, skip_bad: bool):
        self.skip_bad = skip_bad
        self.lines: list[str] = []

    def picture(self, place: str, what: str) -> None:
        """A picture that cannot be used, or of which it is not known where all its faces are."""
        self._take(place, what, "the picture is left out")

    def record(self, place: str, what: str) -> None:
        """A second record of a picture: each makes background of the other's faces."""
        self._take(place, what, "both are left out")

    def face(self, place: str, what: str) -> None:
        """A face whose label is wrong, in a place that is known well enough to ignore it."""
        self._take(place, what, "the face is ignored")

    def label(self, place: str, what: str) -> None:
        """A label that belongs to no picture."""
        self._take(place, what, "it is left out")

    def _take(self, place: str, what: str, outcome: str) -> None:
        if not self.skip_bad:
            raise FacelineError(f"{place}: {what}. Mend it, or go on without it: --skip-bad (detect.skip_bad: true)")
        self.lines.append(f"{place}: {what}: {outcome}")
