"""A pretended second device, for machines without a GPU: its tensors have values, and refuse to meet those of the CPU.

It calls itself "meta", the only device beside the CPU that torch's autograd knows on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from accelerate import PartialState
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from rcedu.system.ranks import place_among_ranks

DEVICE = torch.device("meta")
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}  # a CPU's indices are welcome


class Elsewhere(Tensor):
    """A tensor on the pretended device; `here` are its values."""

    @staticmethod
    def __new__(cls, here: Tensor):
        self = Tensor._make_wrapper_subclass(cls, here.shape, dtype=here.dtype, device=DEVICE, strides=here.stride())
        self.here = here
        return self

    def __repr__(self, **_) -> str:
        return f"Elsewhere({self.here})"

    def tolist(self):
        return self.here.tolist()

    def new_tensor(self, data):
        return torch.tensor(data, dtype=self.dtype).to(DEVICE)

    def numpy(self, **_):
        raise TypeError("a tensor of the pretended device has no numpy; it must be moved to the CPU first")

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Sees what a tensor's class does not: a CPU's tensor moved there, and tensors made there."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


def _here(x):
    return x.here if isinstance(x, Elsewhere) else x


def _run(operation, args, kwargs):
    """The operation on the values, its result on the device where a real one would be. RuntimeError where that is none."""
    name, tensors = operation._schema.name, [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    away, plain = [x for x in tensors if isinstance(x, Elsewhere)], [x for x in tensors if not isinstance(x, Elsewhere)]
    made_there = kwargs.get("device") is not None and torch.device(kwargs["device"]) == DEVICE
    if not away and not made_there:
        return operation(*args, **kwargs)
    on_cpu = kwargs | ({"device": torch.device("cpu")} if kwargs.get("device") is not None else {})
    args_, kwargs_ = tree_map(_here, args), tree_map(_here, on_cpu)
    if name == "aten::_to_copy":
        there = made_there if kwargs.get("device") is not None else bool(away)
        out = operation(*args_, **kwargs_)
        return Elsewhere(out) if there else out
    if name == "aten::copy_":  # from any device to any
        operation(*args_, **kwargs_)
        return args[0]
    if name == "aten::_local_scalar_dense":  # .item(), int(), bool()
        return operation(*args_)
    if name in INDEXING:
        plain = [x for x in args[2:3] if not isinstance(x, Elsewhere)] if isinstance(args[0], Elsewhere) else args[:1]
    generator = kwargs.get("generator")
    if any(x.ndim for x in plain) or (generator is not None and generator.device.type == "cpu"):  # one number may be the CPU's
        raise RuntimeError(f"{name}: two devices, of tensors {[(type(x).__name__, tuple(x.shape)) for x in tensors]}")
    out = operation(*args_, **kwargs_)
    if name.endswith("_") and args and isinstance(args[0], Elsewhere):
        return args[0]
    return tree_map(lambda x: Elsewhere(x) if isinstance(x, Tensor) else x, out)


def _understanding(make):
    """torch.tensor or torch.as_tensor, which would make a tensor without values of a list."""
    return lambda data, *, device=None, **settings: make(data, **settings).to(device)


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Inside, `.to(DEVICE)` of a tensor or a module moves it to the pretended device, on which this process computes."""
    with pytest.MonkeyPatch.context() as patch, _Mode():
        place_among_ranks()
        patch.setitem(PartialState._shared_state, "device", DEVICE)
        patch.setattr(torch, "tensor", _understanding(torch.tensor))
        patch.setattr(torch, "as_tensor", _understanding(torch.as_tensor))
        yield DEVICE
