"""The only collective: it gives every process all encodings, and returns gradients to the process of each encoding."""

from typing import cast

from lightning_fabric import Fabric
from torch import Tensor


def gather(fabric: Fabric, x: Tensor) -> Tensor:
    """Join `x` (B, ...) of all W processes in the order of their ranks: (W B, ...).

    Gradients pass through (`sync_grads`), since a text of this process is a negative for images of other processes.
    """
    joined = cast(Tensor, fabric.all_gather(x, sync_grads=x.is_floating_point()))  # for a tensor, it returns a tensor
    return joined.flatten(0, 1)
