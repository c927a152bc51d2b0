"""python -m faceline_preprocess"""

import sys

from faceline_core.parameters import StageParameters
from faceline_core.stage.console import run_stage
from faceline_preprocess import KEYS


def main() -> int:
    description = "Photos in <data>/recognition/people/<identity>/ to aligned, checked, split faces in data/processed."
    return run_stage("preprocess", description, KEYS, _run)


def _run(parameters: StageParameters) -> None:
    from faceline_preprocess.preprocessing import preprocess

    preprocess(parameters)


if __name__ == "__main__":
    sys.exit(main())
