"""Makes docs/pipeline.jpg out of what `make repro` wrote: photos with the faces found, aligned faces, the ROC.

Run it in the root of the repository after `make repro`:  .venv/bin/python docs/picture.py
"""

import csv
from pathlib import Path

import cv2
import numpy as np

SIDE = 150
PEOPLE, PHOTOS = 3, 4
GAP = 8


def photo_with_face(row: dict[str, str]) -> np.ndarray:
    """The source photo of a row of manifest.csv, with box and landmarks, (SIDE, SIDE, 3) BGR."""
    photo = cv2.imread(row["path"])
    corners = [round(float(row[f"box_{name}"])) for name in ("x1", "y1", "x2", "y2")]
    cv2.rectangle(photo, corners[:2], corners[2:], (80, 220, 80), 3, cv2.LINE_AA)
    for name in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"):
        point = round(float(row[f"{name}_x"])), round(float(row[f"{name}_y"]))
        cv2.circle(photo, point, 4, (60, 60, 255), -1, cv2.LINE_AA)
    height, width = photo.shape[:2]
    side = min(height, width)
    left = min(max(0, (corners[0] + corners[2] - side) // 2), width - side)
    top = min(max(0, (corners[1] + corners[3] - side) // 2), height - side)
    square = photo[top : top + side, left : left + side]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def aligned_face(row: dict[str, str]) -> np.ndarray:
    """The face that was cut out of it, (SIDE, SIDE, 3) BGR."""
    face = cv2.imread(str(Path("data/processed", row["file"])))
    return cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def to_width(picture: np.ndarray, width: int) -> np.ndarray:
    height = round(picture.shape[0] * width / picture.shape[1])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def main() -> None:
    with Path("data/processed/manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "unseen" and row["file"]]
    people = sorted({row["identity"] for row in rows})[:PEOPLE]
    bands = []
    for person in people:
        chosen = [row for row in rows if row["identity"] == person][:PHOTOS]
        for draw in (photo_with_face, aligned_face):
            bands.append(np.hstack([cv2.copyMakeBorder(draw(r), 0, GAP, 0, GAP, 0, value=(255,) * 3) for r in chosen]))
    people_sheet = np.vstack(bands)
    roc = cv2.imread("artifacts/evaluate/roc.png")
    scores = cv2.imread("artifacts/evaluate/scores.png")
    width = round(people_sheet.shape[1] * 1.15)
    column = np.vstack([to_width(plot, width) for plot in (roc, scores)])
    height = people_sheet.shape[0]
    column = to_width(column, round(width * height / column.shape[0]))[:height]
    column = cv2.copyMakeBorder(column, 0, height - column.shape[0], 0, 0, 0, value=(255,) * 3)
    cv2.imwrite("docs/pipeline.jpg", np.hstack([people_sheet, column]), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
