"""python -m faceline_preprocess [bin FOLDER PAIRS OUTPUT]"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from faceline_core.parameters import read_parameters
from faceline_core.stage.console import guarded, stage_parser
from faceline_preprocess import KEYS


def main(arguments: Sequence[str] | None = None) -> int:
    description = "Photos in <data>/recognition/people/<identity>/ to aligned, checked, split faces in data/processed."
    parser = stage_parser("preprocess", description)
    parser.usage = f"{parser.prog} [options]\n       {parser.prog} bin FOLDER PAIRS OUTPUT [options]"
    commands = parser.add_subparsers(title="instead of that", dest="command", metavar="COMMAND", prog=parser.prog)
    _add_bin(commands.add_parser("bin", description=BIN, help=BIN_USAGE))
    options = parser.parse_args(arguments)
    work = _make_bin if options.command == "bin" else _preprocess
    return guarded("preprocess", lambda: work(options), debug=options.debug)


BIN = "Photos and a list of pairs to a verification set, as LFW and its like are passed on."
BIN_USAGE = (
    "FOLDER PAIRS OUTPUT [--aligned] [--skip-unusable] makes a verification set of pairs of photos; "
    "'bin --help' says more"
)


def _add_bin(parser: argparse.ArgumentParser) -> None:
    """Its options; those that stand before `bin` as well keep what was given there."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, <person>/<photo>")
    parser.add_argument(
        "pairs",
        type=Path,
        metavar="PAIRS",
        help="text as LFW's pairs.txt, or a .csv with the columns file_a, file_b and same",
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="the set: data/benchmarks/<name>.bin")
    parser.add_argument("--aligned", action="store_true", help="the photos are aligned faces already: take them as is")
    parser.add_argument("--skip-unusable", action="store_true", help="leave out pairs with a photo that gives no face")
    parser.add_argument(
        "--params",
        type=Path,
        default=argparse.SUPPRESS,
        help="whose detector and img_size hold (default: params.yaml)",
    )
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show an error's traceback")


def _preprocess(options: argparse.Namespace) -> None:
    parameters = read_parameters(options.params, KEYS)
    from faceline_preprocess.preprocessing import preprocess

    preprocess(parameters)


def _make_bin(options: argparse.Namespace) -> None:
    parameters = None if options.aligned else read_parameters(options.params, KEYS)
    from faceline_preprocess.making_bin import make_bin

    make_bin(options.folder, options.pairs, options.output, parameters, options.skip_unusable)


if __name__ == "__main__":
    sys.exit(main())
