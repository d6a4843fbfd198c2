"""The only collective: every process sees every process's encodings, and gradients flow back to their makers."""

from typing import cast

from lightning_fabric import Fabric
from torch import Tensor


def gather(fabric: Fabric, x: Tensor) -> Tensor:
    """`x` (B, ...) of all W processes, joined in the order of their ranks: (W B, ...).

    The gradient passes through (`sync_grads`): a text here is a negative for images elsewhere, and must learn from it.
    """
    joined = cast(Tensor, fabric.all_gather(x, sync_grads=x.is_floating_point()))  # a tensor in, a tensor out
    return joined.flatten(0, 1)
