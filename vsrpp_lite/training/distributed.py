"""Several processes that share a batch: what they need, and the collective that gives all encodings to each."""

from typing import TYPE_CHECKING, cast

from torch import Tensor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def check_processes(devices: int, strategy: str | None, batch_size: int) -> None:
    """Check that processes can train together. An error within one of them would reach the caller as another type.

    Raises:
        ValueError: the processes cannot share a batch; or the strategy is neither "ddp_spawn" nor "ddp_fork". Other
            strategies of Fabric start the script again, and the new process would wait for the lock of this process.
    """
    if strategy not in (None, "ddp_spawn", "ddp_fork"):
        raise ValueError(f"strategy is {strategy!r}; expected ddp_spawn or ddp_fork")
    if devices > 1 and (batch_size % devices or batch_size < 2 * devices):  # BatchNorm needs two pairs
        raise ValueError(
            f"batch_size is {batch_size}; expected a multiple of {devices}, the number of devices, with at least two "
            "pairs for each"
        )


def gather(fabric: "Fabric", x: Tensor) -> Tensor:
    """Join `x` (B, ...) of all W processes in the order of their ranks: (W B, ...).

    Gradients pass through (`sync_grads`), since a text of this process is a negative for images of other processes.
    """
    joined = cast(Tensor, fabric.all_gather(x, sync_grads=x.is_floating_point()))  # for a tensor, it returns a tensor
    return joined.flatten(0, 1)
