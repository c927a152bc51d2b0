"""How much of the machine a stage may use."""

import os


def usable_cores() -> int:
    """Cores that this process may run on; where the system does not say, all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
