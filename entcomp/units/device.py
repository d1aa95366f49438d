"""Which device an extractor computes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entcomp.errors import EntcompError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; on a CPU, torch is left a thread.

    Utterances go in parallel there instead. Raises EntcompError for a device not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise EntcompError(f"--device {name}: expected auto, cpu or cuda")
    import torch

    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise EntcompError("--device cuda: torch sees no GPU; use --device cpu")
    device = torch.device("cuda" if there and name != "cpu" else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    return device
