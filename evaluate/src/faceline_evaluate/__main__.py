"""faceline-evaluate [--split val | test] [--checkpoint FILE] [--output FOLDER] [--embedding-weight W --local-weight W],
and faceline-evaluate predict FOLDER"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from faceline_core.parameters import read_parameters
from faceline_core.stage.console import guarded, stage_parser
from faceline_evaluate import KEYS, PREDICT_KEYS

BEST = Path("artifacts/checkpoints/best_model.pth")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = stage_parser("evaluate", "Measures a recogniser: on people it knows, and on people it has never seen.")
    parser.add_argument("--split", choices=("val", "test"), help="photos of the people it knows (default: test)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help=f"the recogniser (default: {BEST})")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="for metrics.json and evaluate/ (default: artifacts; with --split, --checkpoint or a weight "
        "artifacts/evaluations/<checkpoint>_<split>)",
    )
    for score, what in (("embedding", "of the embeddings' score in the combined one"), ("local", "of the matcher's")):
        parser.add_argument(
            f"--{score}-weight", type=float, metavar="W", help=f"{what} (default: as the checkpoint says)"
        )
    parser.usage = f"{parser.prog} [options]\n       {parser.prog} predict FOLDER [options]"
    commands = parser.add_subparsers(title="instead of measuring", dest="command", metavar="COMMAND", prog=parser.prog)
    _add_predict(commands.add_parser("predict", description=PREDICT, help=PREDICT_USAGE))
    options = parser.parse_args(arguments)
    if options.command == "predict":
        for option in ("split", "embedding_weight", "local_weight"):
            if getattr(options, option) is not None:
                parser.error(f"predict takes no --{option.replace('_', '-')}")
    work = _predict if options.command == "predict" else _evaluate
    return guarded("evaluate", lambda: work(options), debug=options.debug)


PREDICT = "Names the faces of photos: a row a face, with the most probable people and the most alike one."
PREDICT_USAGE = (
    "FOLDER [--checkpoint FILE] [--output FILE] [--aligned] [--device DEVICE] names the faces of photos; "
    "'predict --help' says more"
)


def _add_predict(parser: argparse.ArgumentParser) -> None:
    """Its options; those that stand before `predict` as well keep what was given there."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, searched with all below; or one photo")
    unless_given_before = argparse.SUPPRESS
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        default=unless_given_before,
        help=f"the recogniser (default: {BEST})",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=unless_given_before,
        help="the table (default: artifacts/predictions.csv)",
    )
    parser.add_argument("--aligned", action="store_true", help="the images are aligned faces already: take them as is")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")
    parser.add_argument(
        "--params",
        type=Path,
        default=unless_given_before,
        help="whose detector and preprocess sections hold (default: params.yaml)",
    )
    parser.add_argument("--debug", action="store_true", default=unless_given_before, help="show an error's traceback")


def _evaluate(options: argparse.Namespace) -> None:
    parameters = read_parameters(options.params, KEYS)
    from faceline_evaluate.evaluation import evaluate

    evaluate(
        parameters,
        split=options.split,
        checkpoint=options.checkpoint,
        output=options.output,
        embedding_weight=options.embedding_weight,
        local_weight=options.local_weight,
    )


def _predict(options: argparse.Namespace) -> None:
    parameters = None if options.aligned else read_parameters(options.params, PREDICT_KEYS)
    from faceline_evaluate.prediction.predicting import predict

    output = options.output or Path("artifacts/predictions.csv")
    predict(options.folder, options.checkpoint or BEST, output, parameters, options.device)


if __name__ == "__main__":
    sys.exit(main())
