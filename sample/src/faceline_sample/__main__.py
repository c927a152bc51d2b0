"""The command line: faceline-sample, or python -m faceline_sample."""

import sys
from pathlib import Path

from faceline_core.parameters import read_parameters
from faceline_core.stage.console import guarded, stage_parser
from faceline_sample import KEYS
from faceline_sample.dataset import draw_dataset


def main() -> int:
    """Reads params.yaml and the options that overrule it, and draws."""
    parser = stage_parser("sample", "Draws people and scenes to train on, that nobody has to download.")
    parser.add_argument("--people", type=int, help="identities (default: sample.people of the parameters)")
    parser.add_argument("--photos", type=int, help="photos of each (default: sample.photos)")
    parser.add_argument("--scenes", type=int, help="pictures for detectors (default: sample.scenes)")
    parser.add_argument(
        "--occluded", type=float, help="fraction of the photos with an occluder (default: sample.occluded)"
    )
    parser.add_argument("--occluders", nargs="+", metavar="KIND", help="which are drawn (default: sample.occluders)")
    parser.add_argument("--seed", type=int, help="of all randomness (default: seed)")
    parser.add_argument("--out", type=Path, default=Path("data/sample"), help="folder to write (default: data/sample)")
    options = parser.parse_args()

    def work() -> None:
        parameters = read_parameters(options.params, KEYS)
        sample = parameters.sample
        draw_dataset(
            people=sample.people if options.people is None else options.people,
            photos=sample.photos if options.photos is None else options.photos,
            scenes=sample.scenes if options.scenes is None else options.scenes,
            seed=parameters.seed if options.seed is None else options.seed,
            out=options.out,
            occluded=sample.occluded if options.occluded is None else options.occluded,
            occluders=sample.occluders if options.occluders is None else options.occluders,
        )

    return guarded("sample", work, debug=options.debug)


if __name__ == "__main__":
    sys.exit(main())
