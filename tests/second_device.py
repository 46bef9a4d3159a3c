"""A second device on a machine that has none: tensors that say they are elsewhere and refuse, as on a GPU, the CPU's.

They call themselves "meta", but have values, so results can be compared with the CPU's, bit for bit.

    with second_device():
        model = moved(model)
        model.sample(...)        # DeviceMismatch where a tensor was left behind
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ELSEWHERE = torch.device("meta")
MAY_MIX = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}  # indices may lie on the CPU
TO = {"aten::_to_copy", "aten::to"}


class DeviceMismatch(RuntimeError):
    """What CUDA would refuse."""


class Elsewhere(torch.Tensor):
    """A tensor `inner` that says it lies on another device."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Elsewhere":
        self = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, dtype=inner.dtype, device=ELSEWHERE, strides=inner.stride(), requires_grad=False
        )
        self.inner = inner
        return self

    def __repr__(self) -> str:
        return f"Elsewhere({self.inner})"

    def tolist(self) -> list:  # waits for the device, and copies
        return self.inner.tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor of another device to numpy")

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Also what makes new tensors, or moves them, is seen."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _inner(x):
    return x.inner if isinstance(x, Elsewhere) else x


def _is_elsewhere(device) -> bool:
    return device is not None and torch.device(device) == ELSEWHERE


def _run(function, args, kwargs):
    name, kwargs = function._schema.name, dict(kwargs)
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    there = any(isinstance(x, Elsewhere) for x in tensors)
    here = any(not isinstance(x, Elsewhere) and x.ndim > 0 for x in tensors)  # a single number may lie anywhere
    if not there and not _is_elsewhere(kwargs.get("device")):
        return function(*args, **kwargs)
    if name in TO:
        device = kwargs.pop("device", None)
        out = function(*tree_map(_inner, args), **kwargs)
        stays = _is_elsewhere(device) or (device is None and isinstance(args[0], Elsewhere))
        return Elsewhere(out) if stays else out.clone() if out is _inner(args[0]) else out
    if name == "aten::copy_":
        function(_inner(args[0]), _inner(args[1]), *args[2:])
        return args[0]
    if there and here and name not in MAY_MIX:
        raise DeviceMismatch(f"{name} of {[(type(x).__name__, tuple(x.shape)) for x in tensors]}")
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise DeviceMismatch(f"{name} elsewhere by a generator of the CPU")
    if kwargs.get("device") is not None:
        kwargs["device"] = "cpu"
    out = function(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if name in {"aten::_local_scalar_dense", "aten::equal"}:  # a number
        return out
    if name.endswith("_") and not name.endswith("__"):  # in place
        return args[0]
    elsewhere = isinstance(args[0], Elsewhere) if name in MAY_MIX else True
    return tree_map(lambda x: Elsewhere(x) if isinstance(x, torch.Tensor) and elsewhere else x, out)


def moved(module: nn.Module) -> nn.Module:
    """The module, with all its tensors elsewhere. (`module.to` cannot do that to a wrapper.)"""
    for part in module.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                part._parameters[name] = nn.Parameter(Elsewhere(weight.detach().clone()), requires_grad=weight.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = Elsewhere(buffer.detach().clone())
    return module


@contextmanager
def second_device() -> Iterator[None]:
    """Inside, what is made or moved there is `Elsewhere`."""

    def there(make):
        def made(*args, device=None, **kwargs):
            if not _is_elsewhere(device):
                return make(*args, device=device, **kwargs)
            value = args[0].inner if isinstance(args[0], Elsewhere) else args[0]
            return Elsewhere(make(value, *args[1:], **kwargs))

        return made

    with patch.object(torch, "tensor", there(torch.tensor)), patch.object(torch, "as_tensor", there(torch.as_tensor)), _Mode():
        yield
