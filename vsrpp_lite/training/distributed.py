"""One process, or several that share a batch: what they need, and the collective that gives all encodings to each."""

import multiprocessing
from typing import TYPE_CHECKING, cast

from torch import Tensor

from vsrpp_lite.settings import Precision

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def check_processes(devices: int, strategy: str | None, batch_size: int) -> None:
    """Check that processes can train together. An error within one of them would reach the caller as another type.

    Raises:
        ValueError: the processes cannot share a batch; or the strategy is neither "ddp_spawn" nor "ddp_fork". Other
            strategies of Fabric start the script again, and the new process would wait for the lock of this process.
        RuntimeError: the script has no `if __name__ == "__main__":`, so a process that it starts would wait likewise.
    """
    if devices > 1 and getattr(multiprocessing.current_process(), "_inheriting", False):  # it imports the script
        raise RuntimeError('fit(devices=...) starts processes: call it under `if __name__ == "__main__":`')
    if strategy not in (None, "ddp_spawn", "ddp_fork"):
        raise ValueError(f"strategy is {strategy!r}; expected ddp_spawn or ddp_fork")
    if devices < 1:
        raise ValueError(f"devices is {devices}; expected at least 1")
    if devices > 1 and (batch_size % devices or batch_size < 2 * devices):  # BatchNorm needs two pairs
        raise ValueError(
            f"batch_size is {batch_size}; expected a multiple of {devices}, the number of devices, with at least two "
            "pairs for each"
        )


def make_fabric(devices: int, *, accelerator: str, strategy: str | None, precision: Precision) -> "Fabric":
    """Return Lightning Fabric for this process, or for several that it will start; see `Run.fit`.

    Raises:
        ValueError: this machine has no such accelerator, or not as many devices.
    """
    from lightning_fabric import Fabric  # this import takes a second or two; a finished run needs none
    from lightning_fabric.plugins.environments import LightningEnvironment
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    try:
        return Fabric(
            accelerator=accelerator,
            devices=devices,
            strategy=strategy or ("auto" if devices == 1 else "ddp_spawn"),
            precision=precision,
            plugins=LightningEnvironment(),  # else Fabric would take the tasks of a SLURM job for its own processes
        )
    except (RuntimeError, MisconfigurationException) as error:
        raise ValueError(f"accelerator is {accelerator!r} and devices is {devices}: {error}") from error


def gather(fabric: "Fabric", x: Tensor) -> Tensor:
    """Join `x` (B, ...) of all W processes in the order of their ranks: (W B, ...).

    Gradients pass through (`sync_grads`), since a text of this process is a negative for images of other processes.
    """
    joined = cast(Tensor, fabric.all_gather(x, sync_grads=x.is_floating_point()))  # for a tensor, it returns a tensor
    joined = joined.flatten(0, 1)
    if joined.requires_grad:
        # gloo sums the numbers as they lie in memory, and the gradient of an einsum lies there in another order
        joined.register_hook(Tensor.contiguous)
    return joined
