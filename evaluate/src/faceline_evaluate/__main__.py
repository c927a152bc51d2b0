"""The command line of the evaluate stage."""

import sys

from faceline_core.parameters import StageParameters
from faceline_core.stage.console import run_stage
from faceline_evaluate import KEYS


def main() -> int:
    return run_stage("evaluate", "Measures the recogniser in artifacts/checkpoints.", KEYS, _evaluate)


def _evaluate(parameters: StageParameters) -> None:
    from faceline_evaluate.evaluation import evaluate

    evaluate(parameters)


if __name__ == "__main__":
    sys.exit(main())
