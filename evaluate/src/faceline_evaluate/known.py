"""Known people: how often is the right one named?"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

_NORMAL_95 = 1.959964


def classification(labels: Sequence[int], probabilities: NDArray[np.float32], people: Sequence[str]) -> dict[str, Any]:
    """Figures over the faces of known people.

    Args:
        labels: (N,) who each face shows.
        probabilities: (N, C) of each person.
        people: (C,) their names.

    Returns:
        Accuracy with its 95 % Wilson interval, and macro precision, recall and F1 over the people who have test faces
        (a person whom nothing was taken for has precision 0).
    """
    predicted = probabilities.argmax(axis=1)
    present = sorted(set(labels))
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=present, average="macro", zero_division=0.0
    )
    right = int(np.sum(predicted == np.asarray(labels)))
    low, high = wilson_interval(right, len(labels))
    return {
        "faces": len(labels),
        "people": len(present),
        "people_without_faces": len(people) - len(present),
        "accuracy": right / len(labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
    }


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion. Source: Wilson 1927."""
    share, z2 = successes / trials, _NORMAL_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _NORMAL_95 / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low = 0.0 if successes == 0 else float(centre - half)
    return low, 1.0 if successes == trials else float(centre + half)


def person_rows(
    labels: Sequence[int], probabilities: NDArray[np.float32], people: Sequence[str]
) -> list[dict[str, Any]]:
    """A row a person: faces, precision, recall, F1, and whom the person is most often taken for; hardest first."""
    predicted = probabilities.argmax(axis=1)
    columns = precision_recall_fscore_support(labels, predicted, labels=range(len(people)), zero_division=0.0)
    taken_for = [
        Counter(people[p] for actual, p in zip(labels, predicted, strict=True) if actual == label != p).most_common(1)
        for label in range(len(people))
    ]
    rows = [
        {
            "person": people[label],
            "faces": int(columns[3][label]),
            "precision": float(columns[0][label]),
            "recall": float(columns[1][label]),
            "f1": float(columns[2][label]),
            "most_often_taken_for": taken_for[label][0][0] if taken_for[label] else "",
        }
        for label in range(len(people))
    ]
    return sorted(rows, key=lambda row: (row["f1"], row["person"]))
