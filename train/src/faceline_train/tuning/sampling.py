"""Which values a trial gets, and when it is given up."""

import math
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from faceline_core.parameters.schema import Parameters

_REDUCTION = 3  # of Hyperband: one trial in three goes on to three times as many epochs


class SamplerByTrial(optuna.samplers.BaseSampler):
    """Optuna's TPE, whose random numbers are a function of (seed, number of the trial).

    With one seed for the whole study, a study that is gone on with would draw its first trials anew, and so would every
    further process that works on it.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self._tpe = optuna.samplers.TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        state = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._tpe = optuna.samplers.TPESampler(seed=int(state[0]))
        self._tpe.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Any:
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._tpe.after_trial(study, trial, state, values)


def build_pruner(parameters: Parameters) -> optuna.pruners.BasePruner:
    """The pruner of optuna.pruner.

    median: from the sixth trial on, one whose best value so far is below the median of the others' at the same epoch;
    not before a tenth of the epochs, while the learning rate still rises.
    hyperband: rungs at 1, 3, 9, ... epochs (and, for part of the trials, later ones), the best third of which goes on.
    """
    searched = parameters.optuna.search_spaces.get("epochs")
    epochs = parameters.epochs if searched is None else int(max(searched.choices or [searched.high]))
    if parameters.optuna.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=math.ceil(epochs / 10))
    if parameters.optuna.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=_REDUCTION)
    return optuna.pruners.NopPruner()
