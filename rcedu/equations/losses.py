"""The distillation losses of random conditioning, and how to capture the features they compare.

L = L_out + L_feat (+ L_task),   all weights 1
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn


def output_kd(out_S: Tensor, out_T: Tensor, weight: Tensor | None = None) -> Tensor:
    """L_out = E || out_T - out_S ||^2 / dim   (Kim et al. eq. 1; the mean over batch and pixels).

    out_S, out_T  (B, C, H, W), in whatever the networks predict (eps or v)
    weight        (B, 1, 1, 1) or None: measure the distance in another space, see `distance_weight`
    """
    squared = (_wide(out_T).detach() - _wide(out_S)) ** 2
    return (squared if weight is None else weight * squared).mean()


def distance_weight(prediction_type: str, space: str, *, alpha_t: Tensor, sigma_t: Tensor) -> Tensor:
    """The factor that turns a squared distance of network outputs into one of `space`, at equal x_t.

    With x_t fixed, d_eps = alpha_t d_v and d_x0 = sigma_t d_v, so
    ||d_eps||^2 = alpha_t^2 ||d_v||^2 and ||d_x0||^2 = sigma_t^2 ||d_v||^2.

    prediction_type, space  "v_prediction", "epsilon" or "sample" (x0), diffusers' names. Salimans & Ho (2022) weight the
                            squared distance of x0 instead: their SNR + 1 is space "v_prediction" here, and their max(SNR, 1)
                            is "truncated SNR", the larger of the distances of x0 and of eps
    """
    squared_in_v = {"v_prediction": torch.ones_like(alpha_t), "epsilon": alpha_t**2, "sample": sigma_t**2}
    spaces = squared_in_v | {"truncated SNR": torch.maximum(alpha_t**2, sigma_t**2)}
    for name, choices in ((prediction_type, squared_in_v), (space, spaces)):
        if name not in choices:
            raise ValueError(f"unknown prediction space {name!r}; choose from {', '.join(choices)}")
    return spaces[space] / squared_in_v[prediction_type]


def feature_kd(features_S: Sequence[Tensor], features_T: Sequence[Tensor]) -> Tensor:
    """L_feat = sum over matched layers l of E || f_T^l - f_S^l ||^2 / dim   (Kim et al. eq. 2).

    Two equally long sequences of (B, C, H, W). The sum is not divided by the number of layers, so a
    value well above L_out is normal.  Raises ValueError when the lists or two shapes do not match.
    """
    if len(features_S) != len(features_T):
        raise ValueError(f"{len(features_S)} student features against {len(features_T)} teacher features")
    for i, (f_S, f_T) in enumerate(zip(features_S, features_T, strict=True)):
        if f_S.shape != f_T.shape:
            raise ValueError(
                f"feature pair {i}: student {tuple(f_S.shape)}, teacher {tuple(f_T.shape)}; a Projections closes the gap"
            )
    return sum(map(output_kd, features_S, features_T))


def _wide(x: Tensor) -> Tensor:
    """x in at least 32 bits: the mean of a million squares does not fit in 16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def task_loss(out_S: Tensor, target: Tensor, replaced: Tensor, paired_total: float | None = None) -> Tensor:
    """L_task = E || target - out_S ||^2 / dim over the samples whose condition was *not* swapped.

    out_S, target  (B, C, H, W);   replaced (B,) bool from `randomize`
    paired_total   what to divide by; default: the paired samples here. On R ranks pass the global
                   count / R, so that the mean over ranks is the global mean.

    0 (with a gradient of 0) when every sample was swapped.
    """
    per_sample = ((_wide(target) - _wide(out_S)) ** 2).flatten(1).mean(dim=1)  # (B,)
    paired = (~replaced).to(per_sample.dtype)
    total = paired.sum() if paired_total is None else torch.as_tensor(paired_total, device=out_S.device)
    return (per_sample * paired).sum() / total.clamp(min=1e-8)


class Projections(nn.ModuleList):
    """Temporary 1x1 convolutions, student width -> teacher width, thrown away after training.

    Features are (B, C, H, W), or (B, HW, C) for the attention blocks of Stable Diffusion 2 and XL, which end in a linear layer.

    widths  a (student, teacher) pair for each layer; where both are equal, the projection is the identity
    """

    def __init__(self, widths: Sequence[tuple[int, int]]):
        super().__init__(
            nn.Conv2d(student, teacher, kernel_size=1) if student != teacher else nn.Identity() for student, teacher in widths
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [
            project(f) if f.ndim == 4 else project(f.mT[..., None])[..., 0].mT
            for project, f in zip(self, features, strict=True)
        ]


@contextmanager
def capture(model: nn.Module, layer_names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of named submodules: `with capture(unet, names) as f: unet(...)`.

    Yields a dict name -> output of the latest forward pass (the first element, if a block returns a tuple). If gradient
    checkpointing computes a block again, nothing is overwritten: the tensors kept are those that the loss was built from.
    Raises ValueError, naming the layer, if the model has no such submodule.
    """
    modules = dict(model.named_modules())
    unknown = [name for name in layer_names if name not in modules]
    if unknown:
        raise ValueError(f"no layer {unknown[0]!r} in this {type(model).__name__}")
    features: dict[str, Tensor] = {}

    def keep(name, module, args, output):
        features.setdefault(name, output[0] if isinstance(output, tuple) else output)

    with ExitStack() as hooks:
        hooks.enter_context(model.register_forward_pre_hook(lambda *_: features.clear()))
        for name in layer_names:
            hooks.enter_context(modules[name].register_forward_hook(partial(keep, name)))
        yield features
