"""The command line of the train stage."""

import sys
from collections.abc import Callable
from pathlib import Path

from faceline_core.parameters import StageParameters, read_parameters
from faceline_core.stage.console import guarded, stage_parser
from faceline_train import KEYS
from faceline_train.tuning import command as tuning


def main() -> int:
    if sys.argv[1:2] == ["tune"]:
        return tuning.run(sys.argv[2:])
    parser = stage_parser("train", "Trains a recogniser on faces. `faceline-train tune` searches for parameters.")
    phase = parser.add_mutually_exclusive_group()
    phase.add_argument("--validate", action="store_true", help="measure a checkpoint on the validation faces instead")
    phase.add_argument("--models", action="store_true", help="list the backbones that model_name takes")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="of --validate (default: artifacts/checkpoints/best_model.pth)"
    )
    options = parser.parse_args()
    if options.checkpoint and not options.validate:
        parser.error("--checkpoint goes with --validate; to train on from a file, set ckpt_path in params.yaml")
    if options.models:
        return guarded("train", _list_models, debug=options.debug)

    def work() -> None:
        parameters = read_parameters(options.params, KEYS)
        chosen = _validate(options.checkpoint) if options.validate else _train
        chosen(parameters)

    return guarded("train", work, debug=options.debug)


def _train(parameters: StageParameters) -> None:
    from faceline_train.training import train

    train(parameters)


def _validate(checkpoint: Path | None) -> Callable[[StageParameters], None]:
    def validate_it(parameters: StageParameters) -> None:
        from faceline_train.validating import validate

        validate(parameters, checkpoint or Path("artifacts/checkpoints/best_model.pth"))

    return validate_it


def _list_models() -> None:
    from faceline_core.models.listing import describe_models

    for line in describe_models():
        print(line)


if __name__ == "__main__":
    sys.exit(main())
