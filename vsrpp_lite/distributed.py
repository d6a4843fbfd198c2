"""The only collective: every process sees every process's encodings, and gradients flow back to their makers."""

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def gather(fabric: "Fabric", x: Tensor) -> Tensor:
    """`x` (B, ...) of all W processes, joined in the order of their ranks: (W B, ...). The identity for one process.

    The gradient passes through (`sync_grads`): a text here is a negative for images elsewhere, and must learn so.
    """
    if fabric.world_size == 1:
        return x
    return fabric.all_gather(x, sync_grads=x.is_floating_point()).flatten(0, 1)
