"""The command line of the export stage."""

import sys

from faceline_core.parameters import StageParameters
from faceline_core.stage.console import run_stage
from faceline_export import KEYS


def main() -> int:
    return run_stage("export", "Exports the recogniser in artifacts/checkpoints to TorchScript.", KEYS, _export)


def _export(_parameters: StageParameters) -> None:
    from faceline_export.exporting import export

    export()


if __name__ == "__main__":
    sys.exit(main())
