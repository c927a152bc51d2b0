"""faceline-detect PHOTOS [--json FILE] [--draw FOLDER]"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from faceline_core import __version__
from faceline_core.stage.console import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="faceline-detect", description="Finds the faces in photos.")
    parser.add_argument("photos", type=Path, nargs="+", help="photos, or folders that are searched with all below them")
    parser.add_argument("--detector", default="mtcnn", help="which (default: mtcnn)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write boxes, landmarks and scores here, else to stdout"
    )
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="also write the photos with their faces marked")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"faceline-detect {__version__}")
    options = parser.parse_args(arguments)

    def work() -> None:
        from faceline_detect.finding import find_in_photos

        find_in_photos(options.photos, options.detector, options.device, options.json, options.draw)

    return guarded("detect", work, debug=options.debug)


if __name__ == "__main__":
    sys.exit(main())
