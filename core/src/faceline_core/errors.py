"""The one exception that a user is meant to read, and how it helps with a misspelt name."""

import difflib
from collections.abc import Iterable


class FacelineError(Exception):
    """Something in the user's files or settings is wrong, and the message says what to do next.

    The message is one line; it names the file, what was expected, what was found, and the next step. A stage's command
    line prints it and exits with 1; anything else that escapes is a defect of ours and shows its traceback.
    """


def nearest(name: str, known: Iterable[str], shown: int = 12) -> str:
    """What to say after an unknown name: `did you mean a or b?`, or where nothing is near, what there is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"known are {', '.join(names[:shown])}{more}"
