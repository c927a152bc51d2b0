"""The label texts of detection data: RetinaFace's with landmarks, and WIDER FACE's."""

from faceline_sample.scene import Scene


def retinaface_text(path: str, scene: Scene) -> str:
    """`# path`, then a row a face: x y w h, five times x y 0.0, and a last score of 1."""
    lines = [f"# {path}"]
    for box, points in zip(scene.boxes, scene.landmarks, strict=True):
        row = [f"{v:.2f}" for v in _xywh(box)]
        for x, y in points:
            row += [f"{x:.3f}", f"{y:.3f}", "0.0"]
        lines.append(" ".join([*row, "1.0"]))
    return "\n".join(lines) + "\n"


def wider_text(path: str, scene: Scene) -> str:
    """Path, number of faces, a row a face: x y w h blur expression illumination invalid occlusion pose.

    A picture without faces has the number 0 and one row of zeros, as WIDER FACE has it.
    """
    rows = [
        " ".join(str(round(v)) for v in (*_xywh(box), 0, 0, 0, 0, 2 * int(hidden), int(turned)))
        for box, hidden, turned in zip(scene.boxes, scene.occluded, scene.turned, strict=True)
    ]
    return "\n".join([path, str(len(rows)), *(rows or [" ".join("0" * 10)])]) + "\n"


def _xywh(box: "list[float]") -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return x1, y1, x2 - x1, y2 - y1
