"""The options of `faceline-detect predict`."""

import argparse
from pathlib import Path

from faceline_core.errors import FacelineError

PREDICT = "Finds the faces in photos, and writes them as JSON, as a table and as pictures."
PREDICT_USAGE = "PHOTOS... finds the faces in photos; 'predict --help' says more"
DETECTORS = ("mtcnn", "retinaface", "yolo", "fused")


def add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds the command; `predict_photos` does its work."""
    parser = commands.add_parser("predict", description=PREDICT, help=PREDICT_USAGE)
    parser.add_argument(
        "photos", type=Path, nargs="+", metavar="PHOTOS", help="photos, or folders that are searched with all below"
    )
    parser.add_argument("--detector", choices=DETECTORS, default="mtcnn", help="which (default: mtcnn)")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="PLACE",
        help="a detector's folder, or its file (default: artifacts/detect/<detector>)",
    )
    parser.add_argument(
        "--confidence", type=float, metavar="SCORE", help="leave out faces under it, 0 to 1 (default: the detector's)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("faces"),
        metavar="FOLDER",
        help="to write to; what predict wrote there before is replaced (default: faces)",
    )
    parser.add_argument("--crops", action="store_true", help="also cut the faces out, upright")
    parser.add_argument("--size", type=int, default=112, metavar="PX", help="side of those (default: 112)")
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show an error's traceback")
    return parser


def predict_photos(options: argparse.Namespace) -> None:
    from faceline_detect.detectors import load
    from faceline_detect.predicting import check_size, predict

    check_size(options.size)
    if options.confidence is not None and not 0 <= options.confidence <= 1:
        raise FacelineError(f"--confidence {options.confidence:g}: expected 0 to 1")
    predict(
        options.photos,
        lambda: load(options.detector, options.checkpoint, options.device, options.confidence),
        options.output,
        options.size if options.crops else None,
    )
