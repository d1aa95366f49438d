"""Weights in safetensors files: written complete or not at all, averaged, read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from entcomp.errors import EntcompError, reason_of
from entcomp.files import atomic_path

ModelT = TypeVar("ModelT", bound=nn.Module)
# What modules and torch say of sizes and names that cannot be.
MISFITS = (
    *(ArithmeticError, AssertionError, LookupError, MemoryError, RuntimeError, TypeError),
    ValueError,
)
# What torch and pickle make of damaged files.
UNREADABLE = (*MISFITS, AttributeError, EOFError, OSError, UnpicklingError)


@contextmanager
def naming_sizes(remedy: str) -> Iterator[None]:
    """Raises EntcompError, with the remedy, for sizes that a module refuses as it is built."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = reason_of(error) if str(error) else "sizes that do not go together"
        raise EntcompError(f"config: {reason.rstrip('.')}; {remedy}") from None


def write_weights(
    path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a state dict, and texts about it; equal weights are equal bytes."""
    on_cpu = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(on_cpu, metadata))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict. Raises EntcompError for a missing or broken file."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file; train the model first") from None
    except SafetensorError as error:
        raise EntcompError(f"{path}: not safetensors ({error}); train the model again") from None


def read_checkpoint(path: Path, what: str, *keys: str) -> dict[str, Tensor]:
    """The state dict under ``keys`` of a torch checkpoint; no other code is run in loading it.

    Raises EntcompError for any other file, which is not ``what`` it should be.
    """
    try:
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
        for key in keys:
            stored = stored[key]
        if not all(isinstance(one, Tensor) for one in dict(stored).values()):
            raise TypeError("no tensors")
    except UNREADABLE as error:
        raise EntcompError(f"{path}: not {what} ({reason_of(error)})") from None
    return stored


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a file into ``model``. Raises EntcompError if they do not fit."""
    weights = read_weights(path)
    with naming_misfits(path):
        model.load_state_dict(weights)


def load_model(build: Callable[[], ModelT], path: Path) -> ModelT:
    """``build()`` with the weights in a file. Raises EntcompError if they do not fit.

    Nothing is allocated for a config, damaged perhaps, that asks for much more than the file holds.
    """
    weights = read_weights(path)
    with naming_misfits(path):
        return fill(build, weights)


def fill(build: Callable[[], ModelT], weights: dict[str, Tensor]) -> ModelT:
    """As `load_model`; raises what torch does for weights that do not fit."""
    with torch.device("meta"):  # where tensors have sizes only
        wanted = sum(one.numel() for one in build().state_dict().values())
    held = sum(one.numel() for one in weights.values())
    if wanted > 2 * held:
        raise RuntimeError(f"{held} numbers, where its config means {wanted}")
    model = build()
    model.load_state_dict(weights)
    return model


def take_over(
    model: nn.Module, weights: dict[str, Tensor], folder: Path, but: tuple[str, ...] = ()
) -> None:
    """Start ``model`` from the weights of the one in ``folder``.

    All but those whose names begin with one of ``but``. Raises EntcompError for another size.
    """
    own = {name: one for name, one in model.state_dict().items() if name.startswith(but)}
    try:
        model.load_state_dict(weights | own)
    except RuntimeError as error:
        reason = reason_of(error)
        raise EntcompError(
            f"{folder}: the model to start from has another size ({reason}); train with its config"
        ) from None


@contextmanager
def naming_misfits(path: Path) -> Iterator[None]:
    """Raises EntcompError for what torch says of weights, or sizes, that do not fit."""
    try:
        yield
    except EntcompError as error:  # of its config
        raise EntcompError(f"{path.parent}: {error}") from None
    except MISFITS as error:
        raise EntcompError(f"{path}: weights of another model ({reason_of(error)})") from None


def write_mean(path: Path, sources: Sequence[Path]) -> None:
    """Average the weights of several files; counters and the like are those of the last."""
    mean = read_weights(sources[0])
    for count, source in enumerate(sources[1:], start=2):
        for name, tensor in read_weights(source).items():
            if torch.is_floating_point(tensor):
                mean[name] += (tensor - mean[name]) / count
            else:
                mean[name] = tensor
    write_weights(path, mean)
