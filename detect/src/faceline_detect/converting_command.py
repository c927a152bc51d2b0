"""The options of `faceline-detect convert`."""

import argparse
from pathlib import Path

CONVERT = "Labels of faces in one format to another, with all that they say."
CONVERT_USAGE = "SOURCE TARGET --to FORMAT converts labels; 'convert --help' says more"
FORMATS = ("wider", "retinaface", "coco", "yolo")


def add_convert(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds the command; `convert_labels` does its work."""
    parser = commands.add_parser("convert", description=CONVERT, help=CONVERT_USAGE)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a label file, or a folder with one")
    parser.add_argument(
        "target",
        type=Path,
        metavar="TARGET",
        help="a folder to write, a .txt (wider, retinaface) or .json (coco); one of the same format is replaced",
    )
    parser.add_argument("--to", choices=FORMATS, required=True, help="the format to write")
    parser.add_argument("--from", choices=FORMATS, dest="source_kind", help="that of SOURCE (default: by its content)")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="where the pictures are (default: images/ beside the label file, or its folder)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="ignore wrong faces, leave out wrong pictures, and count them"
    )
    parser.add_argument(
        "--link-images",
        choices=("hard", "symbolic"),
        nargs="?",
        const="hard",
        help="also link the pictures into TARGET/images (alone: hard)",
    )
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show an error's traceback")
    return parser


def convert_labels(options: argparse.Namespace) -> None:
    from faceline_detect.annotations.converting import convert

    convert(
        options.source,
        options.target,
        options.to,
        options.source_kind,
        options.images,
        options.skip_bad,
        options.link_images,
    )
