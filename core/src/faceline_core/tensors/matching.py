"""Which tensors of a file belong to which of a network, whatever the file wraps them in."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_DEPTH = 3
_LISTED = 10
_OF_CLASSIFIERS = {"fc", "classifier", "head", "heads", "head_dist", "logits", "AuxLogits", "aux1", "aux2"}
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Match:
    """What of a file fits a network, by the network's names."""

    fitting: dict[str, Tensor]
    missing: list[str]
    other_shape: list[str]
    """With both shapes, for the message."""
    left_over: list[str]
    """Names in the file, without those of classifiers."""
    total: int
    """Tensors of the network; BatchNorm's counters only where the file has them."""

    @property
    def share(self) -> float:
        """Part of the network's tensors that fit, without BatchNorm's counters."""
        fitting = sum(not name.endswith(_COUNTER) for name in self.fitting)
        return fitting / max(1, fitting + len(self.missing) + len(self.other_shape))

    def misfits(self) -> str:
        """`missing: a, b; of another shape: c; left over: d`, up to ten names of a kind; empty where all fits."""
        kinds = (("missing", self.missing), ("of another shape", self.other_shape), ("left over", self.left_over))
        return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds if names)


def state_dicts(content: Any, depth: int = _DEPTH) -> Iterator[dict[str, Tensor]]:
    """Every dict of tensors in what a file holds, outer ones first: `{"state_dict": {...}, "optimizer": {...}}`."""
    if not isinstance(content, dict):
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield tensors
    if depth:
        for value in content.values():
            yield from state_dicts(value, depth - 1)


def match(own: dict[str, Tensor], state: dict[str, Tensor]) -> Match:
    """Matches by name and shape, behind the prefix under which the file has most of the network's own names.

    Args:
        own: the network's state dict.
        state: a file's tensors; `model.`, `backbone.` and the like may stand before the network's names.
    """
    prefix = prefix_of(own, state)
    named = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    fitting = {name: named[name] for name in own if name in named and named[name].shape == own[name].shape}
    counted = [name for name in own if not name.endswith(_COUNTER)]
    return Match(
        fitting,
        [name for name in counted if name not in named],
        [
            f"{name} {tuple(named[name].shape)} for {tuple(own[name].shape)}"
            for name in counted
            if name in named and name not in fitting
        ],
        [
            name
            for name in state
            if not (name.startswith(prefix) and name.removeprefix(prefix) in own) and _counts(name)
        ],
        len(counted) + sum(name.endswith(_COUNTER) for name in fitting),
    )


def prefix_of(own: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """What stands before most of a network's names in a file; of several that do as well, the shortest."""
    found: Counter[str] = Counter()
    for name, value in state.items():
        starts = [0, *(index + 1 for index, character in enumerate(name) if character == ".")]
        for start in starts:
            if name[start:] in own:
                found[name[:start]] += 1 + (own[name[start:]].shape == value.shape)
    return max(sorted(found, key=len), key=lambda prefix: found[prefix], default="")


def _counts(name: str) -> bool:
    """Whether a tensor that the network has no use for is worth a word."""
    return not name.endswith(_COUNTER) and _OF_CLASSIFIERS.isdisjoint(name.split("."))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
