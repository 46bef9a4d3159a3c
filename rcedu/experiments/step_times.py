"""The time of a training step for different anatomies of the UNet (`rcedu anatomy`)."""

import torch

from rcedu.evaluation.formatting import markdown
from rcedu.evaluation.race import again, on_threads, race
from rcedu.models.anatomies import digit_unet
from rcedu.models.surgery import parameter_count, remove_blocks

ANATOMIES = {  # widths, layers at each level
    "16-32, 1 layer": ((16, 32), 1),
    "16-32, 2 layers": ((16, 32), 2),
    "16-32-64, 1 layer": ((16, 32, 64), 1),
    "16-32-64, 2 layers (teacher)": ((16, 32, 64), 2),
    "32-64, 1 layer": ((32, 64), 1),
    "32-64, 2 layers": ((32, 64), 2),
    "32-64-64, 2 layers": ((32, 64, 64), 2),
    "24-48-96, 2 layers": ((24, 48, 96), 2),
}


def step_times(unet, batch_size: int) -> list[float]:
    """[forward without gradient, forward and backward] in milliseconds, each the fastest of five."""
    x_t, t = torch.randn(batch_size, 4, 14, 14), torch.randint(1000, (batch_size,))
    label = torch.randn(batch_size, unet.config.projection_class_embeddings_input_dim)

    def forward():
        return unet(x_t, t, None, class_labels=label).sample

    def train():
        unet.zero_grad()
        forward().square().mean().backward()

    return [min(race({"": again(work)}, 5, warmup=1)[""]["ms"]) for work in (torch.no_grad()(forward), train)]


def step_times_table(threads: int = 1, batch_size: int = 64) -> str:
    """A Markdown table: anatomy, parameters, forward ms, forward + backward ms."""
    unets = {name: digit_unet(widths, layers) for name, (widths, layers) in ANATOMIES.items()}
    unets["tiny student of the teacher"] = remove_blocks(digit_unet(), "tiny")
    lines = []
    with on_threads(threads):
        for name, unet in unets.items():
            forward, train = step_times(unet, batch_size)
            lines.append([name, f"{parameter_count(unet):,}", f"{forward:.0f}", f"{train:.0f}"])
    return markdown(["anatomy", "parameters", f"forward, ms per batch of {batch_size}", "forward + backward, ms"], lines)
