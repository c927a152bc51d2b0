"""The one exception that a user is meant to read."""


class FacelineError(Exception):
    """Something in the user's files or settings is wrong, and the message says what to do next.

    The message is one line; it names the file, what was expected, what was found, and the next step. A stage's command
    line prints it and exits with 1; anything else that escapes is a defect of ours and shows its traceback.
    """
