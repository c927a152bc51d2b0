"""Which of the processes of a run this is, as torchrun, SLURM and Lightning's launcher say it in the environment."""

import os

_RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")


def is_first() -> bool:
    """Whether this process is alone, or the first of those that train together.

    Known before torch is imported, so that one process of many speaks and writes.
    """
    return all(os.environ.get(name, "") in ("", "0") for name in _RANKS)
