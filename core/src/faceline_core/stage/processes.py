"""Which of the processes of a run this is, as torchrun, SLURM and Lightning's launcher say it in the environment."""

import os


def rank() -> int:
    """The number of this process among those that train together; 0 where it is alone or the first.

    Known before torch is imported, so that one process of many speaks and writes.
    """
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        if os.environ.get(name, "").isdigit():
            return int(os.environ[name])
    return 0
