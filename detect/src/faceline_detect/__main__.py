"""python -m faceline_detect [predict PHOTOS... | convert SOURCE TARGET]"""

import argparse
import sys
from collections.abc import Sequence

from faceline_core.parameters import read_parameters
from faceline_core.stage.console import guarded, stage_parser
from faceline_detect import KEYS
from faceline_detect.converting_command import add_convert, convert_labels
from faceline_detect.predicting_command import add_predict, predict_photos


def main(arguments: Sequence[str] | None = None) -> int:
    parser = stage_parser("detect", "Scenes with labelled faces to detectors in artifacts/detect, each measured.")
    parser.usage = f"{parser.prog} [options]\n       {parser.prog} predict PHOTOS... [options]"
    parser.usage += f"\n       {parser.prog} convert SOURCE TARGET [options]"
    commands = parser.add_subparsers(title="instead of that", dest="command", metavar="COMMAND", prog=parser.prog)
    add_predict(commands).set_defaults(work=predict_photos)
    add_convert(commands).set_defaults(work=convert_labels)
    parser.set_defaults(work=_detect)
    options = parser.parse_args(arguments)
    return guarded("detect", lambda: options.work(options), debug=options.debug)


def _detect(options: argparse.Namespace) -> None:
    parameters = read_parameters(options.params, KEYS)
    from faceline_detect.detecting import detect

    detect(parameters)


if __name__ == "__main__":
    sys.exit(main())
