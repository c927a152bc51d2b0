"""A Lightning trainer that says nothing itself: the stage's own lines are what people read."""

import ctypes
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Checkpoint, TQDMProgressBar

from faceline_core.errors import FacelineError, nearest
from faceline_core.parameters.training import Trainer as TrainerSettings
from faceline_core.training.loading import EpochLoader

Precision = Literal[32, "bf16", 16]
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30
_LIGHTNING_NAMES = {32: "32-true", "bf16": "bf16-mixed", 16: "16-mixed"}


def build_trainer(
    settings: TrainerSettings,
    precision: Precision,
    epochs: int,
    callbacks: Sequence[lightning.Callback],
    loggers: Sequence[Any] = (),
    refresh_rate: int = 1,
    root: Path = Path("artifacts/.scratch"),
) -> lightning.Trainer:
    """The trainer of a stage.

    Args:
        settings: devices, strategy, limits.
        precision: what `auto` was decided to be, or what was asked for.
        epochs: the most to train.
        callbacks: in the order in which they are called.
        loggers: of Lightning's; none by default.
        refresh_rate: steps between two updates of the progress bar; 0 shows none.
        root: where Lightning writes what nobody asked it for.

    Raises:
        FacelineError: where a device, precision or strategy is asked for that this machine does not have.
    """
    check_machine(settings)
    if precision == 16 and _on_cpu(settings):
        raise FacelineError("trainer.precision: 16 needs a GPU, and this run is on the CPU. Set bf16, 32 or auto")
    _quiet()
    # Deterministic algorithms would also fill every new tensor with NaN, a pass over memory that finds nothing here.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _keep_memory()
    bar = bool(refresh_rate) and sys.stderr.isatty()
    try:
        trainer = lightning.Trainer(
            accelerator=settings.accelerator,
            devices=_devices(settings),
            num_nodes=settings.num_nodes,
            strategy=settings.strategy,
            precision=_LIGHTNING_NAMES[precision],  # type: ignore[arg-type]
            max_epochs=epochs,
            callbacks=[
                _ValidateAtTheEnd(),
                *callbacks,
                _StopAtOnce(),
                _EndWorkers(),
                *([TQDMProgressBar(refresh_rate)] if bar else []),
            ],
            plugins=[SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else None,
            logger=list(loggers) or False,
            log_every_n_steps=1,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            enable_progress_bar=bar,
            num_sanity_val_steps=0,
            deterministic=settings.deterministic,
            benchmark=not settings.deterministic,
            accumulate_grad_batches=settings.accumulate_grad_batches,
            gradient_clip_val=settings.gradient_clip_val or None,
            limit_train_batches=settings.limit_train_batches,
            limit_val_batches=settings.limit_val_batches,
            val_check_interval=settings.val_check_interval,
            fast_dev_run=settings.fast_dev_run,
            sync_batchnorm=settings.sync_batchnorm,
            use_distributed_sampler=False,  # the loaders share the faces out themselves
            default_root_dir=root,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:  # Lightning on what does not go together
        raise FacelineError(f"trainer: {' '.join(str(error).split())} Change it in params.yaml") from None
    started = _started_processes()
    if started not in (1, trainer.world_size):
        raise FacelineError(
            f"trainer.devices, trainer.num_nodes: {started} processes were started, and {trainer.num_devices} on each "
            f"of {trainer.num_nodes} machines are asked for. Set them to what torchrun or SLURM starts"
        )
    return trainer


def _keep_memory() -> None:
    """Has glibc keep what was freed, for the next step asks for as much again.

    Giving it back and getting it anew, page by page, was 4 % of the training of mobilenet_v3_small (224 px, batch 16);
    the most memory that it took was the same.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):  # musl
        return
    # Before 2.35 glibc takes 32 MB at most. Raising the other alone would have every tensor mapped anew.
    if libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES) or libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20):
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def processes(settings: TrainerSettings) -> int:
    """How many processes train together, as far as it is known before they are started; 1 is alone."""
    devices = _devices(settings)
    here = torch.cuda.device_count() if devices == "auto" else devices
    return max(_started_processes(), max(1, here) * settings.num_nodes)


def _devices(settings: TrainerSettings) -> int | Literal["auto"]:
    """On this machine: on a CPU as many processes as torchrun started, which Lightning would not ask."""
    if settings.devices == "auto" and _on_cpu(settings) and not torch.backends.mps.is_available():
        return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return settings.devices


def _started_processes() -> int:
    """How many torchrun or SLURM started; 1 where it was neither."""
    if SLURMEnvironment.detect():
        return int(os.environ["SLURM_NTASKS"])
    return int(os.environ["WORLD_SIZE"]) if TorchElasticEnvironment.detect() else 1


class _EndWorkers(lightning.Callback):
    """Ends the processes that prepare batches, when a run has ended in any way."""

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:  # noqa: ARG002
        self._end(trainer)

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        exception: BaseException,  # noqa: ARG002
    ) -> None:
        self._end(trainer)

    def _end(self, trainer: lightning.Trainer) -> None:
        for loader in (trainer.train_dataloader, trainer.val_dataloaders):
            if isinstance(loader, EpochLoader):
                loader.close()


class _ValidateAtTheEnd(lightning.Callback):
    """Validates after the last batch of an epoch too, where val_check_interval does not divide the batches.

    Else the epoch's row and its checkpoints would show figures of weights that were moved on from.
    """

    _usual: float | None = None

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._usual, trainer.val_check_batch = trainer.val_check_batch, batch_idx + 1

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        if self._usual is not None:
            trainer.val_check_batch, self._usual = self._usual, None


class _StopAtOnce(lightning.Callback):
    """SIGTERM ends a run as Ctrl-C does. Lightning's own handler asks the other processes first, and waits for ever."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _on_cpu(settings: TrainerSettings) -> bool:
    return settings.accelerator == "cpu" or (settings.accelerator == "auto" and not torch.cuda.is_available())


def check_machine(settings: TrainerSettings) -> None:
    """Raises where a device or strategy is asked for that is not there."""
    if settings.accelerator == "gpu" and not torch.cuda.is_available() and not torch.backends.mps.is_available():
        raise FacelineError(
            "trainer.accelerator: gpu, but PyTorch sees no CUDA device. Set auto or cpu, or see docs/containers.md "
            "on how a container gets the GPU"
        )
    if settings.accelerator == "tpu":
        from lightning.pytorch.accelerators import XLAAccelerator

        if not XLAAccelerator.is_available():
            raise FacelineError("trainer.accelerator: tpu, but torch_xla sees no TPU. Install torch_xla, or set auto")
    if settings.sync_batchnorm and _on_cpu(settings):
        raise FacelineError("trainer.sync_batchnorm: true needs GPUs, and this run is on the CPU. Set it to false")
    strategies = lightning.pytorch.strategies.StrategyRegistry.available_strategies()
    copying = ("spawn", "fork", "notebook")
    strategies = [name for name in strategies if not any(word in name for word in copying)]
    if any(word in settings.strategy for word in copying):
        raise FacelineError(f"trainer.strategy: {settings.strategy} is for notebooks. Set ddp, or auto")
    if settings.strategy not in ("auto", *strategies):
        raise FacelineError(
            f"trainer.strategy: {settings.strategy} is unknown; {nearest(settings.strategy, ['auto', *strategies])}"
        )


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*all_gather is deprecated.*")
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*before.*optimizer.step.*", category=UserWarning)
