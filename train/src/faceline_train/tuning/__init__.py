"""The search of `./stage tune`: a study of trials, each a training with other values of some parameters."""
