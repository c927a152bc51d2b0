"""The command line of the train stage."""

import sys

from faceline_core.parameters import StageParameters
from faceline_core.stage.console import run_stage
from faceline_train import KEYS


def main() -> int:
    return run_stage("train", "Trains a recogniser on the faces in data/processed.", KEYS, _train)


def _train(parameters: StageParameters) -> None:
    from faceline_train.training import train

    train(parameters)


if __name__ == "__main__":
    sys.exit(main())
