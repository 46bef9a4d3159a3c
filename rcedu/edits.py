"""What notebook 09 edits and how it judges: thin strokes made thick, one ink made another, half a picture made up.

One `EditingRun` is all of it for one seed, with the networks of few steps that `rcedu.few_step_training.climb` trains.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from rcedu import side_by_side
from rcedu.captioned_digits import ATTRIBUTES, INKS, UNSAID, coverage, prompt_rows, prompts, read_prompts, shear
from rcedu.domains import ENCODER, CaptionedPictures, Strokes
from rcedu.editing import complete, image_to_image, style_transfer
from rcedu.few_step_training import climb, round_trip
from rcedu.few_steps import FewStepsRun, budget
from rcedu.files import UsageError
from rcedu.models import DiffusionModel
from rcedu.report import summarize_plain
from rcedu.strokes import thickness
from rcedu.training import Record


class StrokeEdits(Strokes):
    """Thin digits become thick and thick ones thin. Attributes (N, 2): digit, stroke (0 thin, 1 thick)."""

    columns = ("digit", "stroke")
    restyled = "stroke"
    unit = "change of lean"  # what `change` measures

    def attributes(self, count: int) -> Tensor:
        asked = self.asked(count)
        return torch.stack([asked % 10, asked // 10], dim=1)

    def condition(self, attributes: Tensor) -> Tensor:
        return attributes[:, 0] + 10 * attributes[:, 1]

    def restyle(self, attributes: Tensor) -> Tensor:
        return attributes * torch.tensor([1, -1]) + torch.tensor([0, 1])

    def read(self, images: Tensor) -> Tensor:
        return torch.stack([self.shipped.judge.probabilities(images).argmax(dim=1), thickness(images)], dim=1)

    def change(self, before: Tensor, after: Tensor, old: Tensor, new: Tensor) -> float:
        """How far digits were straightened or tilted, which no label asked for: the mean change of `shear`, 1 = 45 degrees."""
        return (shear(after) - shear(before)).nan_to_num(1.0).abs().mean().item()


class InkEdits(CaptionedPictures):
    """The ink is exchanged for another. Attributes (N, 4): digit, ink, background, slant."""

    columns = ATTRIBUTES
    restyled = "ink"
    unit = "change of shape"

    def attributes(self, count: int) -> Tensor:
        return read_prompts(self.asked(count))

    def condition(self, attributes: Tensor) -> Tensor:
        return self.teacher.conditions.tokenize([prompts()[row] for row in prompt_rows(attributes)])

    def restyle(self, attributes: Tensor) -> Tensor:
        changed = attributes.clone()
        changed[:, 1] = (changed[:, 1] + 3) % len(INKS)
        return changed

    def read(self, images: Tensor) -> Tensor:
        return self.shipped.judge.read(images)

    def change(self, before: Tensor, after: Tensor, old: Tensor, new: Tensor) -> float:
        """How far the digit itself moved: the mean change of a pixel's coverage by ink, 0 to 1, whatever the colours."""
        return (coverage(after, new[:, 1], new[:, 2]) - coverage(before, old[:, 1], old[:, 2])).abs().mean().item()


EDITS = {"strokes": StrokeEdits, "mini-sd": InkEdits}


class Edit(NamedTuple):
    """An edit that is to be done: pictures, what is true of them, and what shall be."""

    images: Tensor  # (N, channels, H, W) uint8
    old: Tensor  # (N, columns)
    new: Tensor
    column: str  # the attribute that it is about


def another_digit(attributes: Tensor) -> Tensor:
    """The same but for the digit, which is the one five further on."""
    changed = attributes.clone()
    changed[:, 0] = (changed[:, 0] + 5) % 10
    return changed


def upper_half(images: Tensor) -> Tensor:
    """(H, W) bool, True in the upper half."""
    known = torch.zeros(images.shape[-2:], dtype=torch.bool)
    known[: len(known) // 2] = True
    return known


@contextmanager
def evaluations(*models: DiffusionModel) -> Iterator[list[int]]:
    """Inside, a list grows by the batch of every evaluation of these models' networks."""
    count = []
    hooks = [
        unet.register_forward_pre_hook(lambda module, args: count.append(len(args[0])))
        for unet in {id(model.unet): model.unet for model in models}.values()
    ]
    try:
        yield count
    finally:
        for hook in hooks:
            hook.remove()


# name -> what is asked for
TASKS = {
    "style transfer": lambda domain, images, old: Edit(images, old, domain.restyle(old), domain.restyled),
    "image to image, strength 0.5": lambda domain, images, old: Edit(images, old, domain.restyle(old), domain.restyled),
    "inpainting, right condition": lambda domain, images, old: Edit(images, old, old, "digit"),
    "inpainting, wrong condition": lambda domain, images, old: Edit(images, old, another_digit(old), "digit"),
}


def perform(task: str, domain, edit: Edit, encoder: DiffusionModel, model: DiffusionModel, steps: int, seed: int = 0) -> Tensor:
    """The edited pictures, by networks of `steps` steps at the domain's guidance."""
    new, settings = domain.condition(edit.new), {"w": domain.w, "steps": steps}
    if task == "style transfer":
        return style_transfer(encoder, model, edit.images, domain.condition(edit.old), new, **settings)
    if task.startswith("image to image"):
        return image_to_image(model, edit.images, new, strength=0.5, seed=seed, **settings)
    return complete(model, edit.images, upper_half(edit.images), new, seed=seed, **settings)


def judge(task: str, domain, edit: Edit, after: Tensor) -> dict:
    """edited, kept, all  [as asked, asked]: the attribute that the edit is about; all others; both.  change  outside the edit:
    of inpainting, the root mean square of a kept pixel's change, 0 to 1; else the domain's `change`.
    """
    right = domain.read(after) == edit.new
    if edit.new.shape[1] == len(ATTRIBUTES):
        right[:, 3] |= edit.new[:, 3] == UNSAID
    column = domain.columns.index(edit.column)
    others = [i for i in range(len(domain.columns)) if i != column]
    hits = {"edited": right[:, column], "kept": right[:, others].all(dim=1), "all": right.all(dim=1)}
    if task.startswith("inpainting"):
        known = upper_half(after)
        change = ((after.float() - edit.images.float())[..., known] / 255).square().mean().sqrt().item()
    else:
        change = domain.change(edit.images, after, edit.old, edit.new)
    return {name: [int(x.sum()), len(x)] for name, x in hits.items()} | {"change": change}


@dataclass(frozen=True)
class EditingRun:
    """Networks of few steps, and what they edit, beside their teacher with many steps and with few."""

    few_steps: FewStepsRun
    numbers: tuple[int, ...] = (2, 4, 8)  # of steps
    teacher_steps: int = 50
    scored: int = 200  # pictures a task

    def __post_init__(self):
        if self.few_steps.domain not in EDITS:
            raise UsageError(f"nothing to edit in {self.few_steps.domain!r}; choose from {', '.join(EDITS)}")

    @property
    def steps(self) -> int:
        """Of training, as progress bars count."""
        return self.few_steps.steps


def editing_budget(domain: str, preset: str, seed: int) -> EditingRun:
    """A domain's run at a preset's size. UsageError for a domain without edits."""
    if domain not in EDITS:
        raise UsageError(f"nothing to edit in {domain!r}; choose from {', '.join(EDITS)}")
    run = budget(domain, preset, seed=seed, samplers=("deterministic", ENCODER), last=2)
    return EditingRun(run, scored={"smoke": 4, "cpu": 200 if domain == "strokes" else 108, "gpu": 2000}[preset])


def ways(
    run: EditingRun, folder: Path, domain, watch: Callable[[Record], None] | None = None
) -> tuple[dict[tuple[str, int], tuple[DiffusionModel, DiffusionModel]], dict[str, dict]]:
    """((who, steps) -> (encoder, decoder), steps -> marks of the distilled encoder); trains what is not in `folder` yet."""
    students, marks, behind = {}, {}, 0

    def shifted(record: Record) -> None:
        watch(record._replace(step=behind + record.step))

    for stage, student, result in climb(run.few_steps, folder, watch=shifted if watch else None):
        behind += stage.training_steps
        students[stage.way, stage.steps] = student
        if stage.sampler == ENCODER:
            marks[str(stage.steps)] = result["marks"]["0"]
    found = {("teacher", steps): (domain.teacher, domain.teacher) for steps in (run.teacher_steps, *run.numbers)}
    found |= {("student", steps): (students[ENCODER, steps], students["deterministic", steps]) for steps in run.numbers}
    return found, marks


def run_one(name: str, run: EditingRun, folder: Path, report: Callable[[str, Record], None] | None = None) -> dict:
    """Train what is missing (in `folder/../few-steps/name`, shared with `rcedu few-steps`), and edit.

    rows        task -> who -> steps -> marks (`judge`), evaluations and seconds a picture
    round_trip  who -> steps -> marks of the way to the noise (`rcedu.few_step_training.round_trip`)
    """
    domain = EDITS[run.few_steps.domain]()
    watch = partial(report, name) if report else None
    found, distilled = ways(run, Path(folder).parent / "few-steps" / name, domain, watch)
    plain = {
        str(steps): round_trip(domain, domain.teacher, run.few_steps.scored, steps, back=run.few_steps.first)
        for steps in (*run.numbers, run.teacher_steps)
    }
    images, old = domain.real(run.scored), domain.attributes(run.scored)
    rows = {}
    for task, ask in TASKS.items():
        edit = ask(domain, images, old)
        for (who, steps), (encoder, model) in found.items():
            with evaluations(encoder, model) as count:
                start = time.perf_counter()
                after = perform(task, domain, edit, encoder, model, steps, seed=run.few_steps.seed)
                seconds = time.perf_counter() - start
            marks = judge(task, domain, edit, after)
            cost = {"nfe": round(sum(count) / len(images)), "seconds": seconds / len(images)}
            rows.setdefault(task, {}).setdefault(who, {})[str(steps)] = marks | cost
    return {"domain": run.few_steps.domain, "rows": rows, "round_trip": {"teacher": plain, "student": distilled}}


def run_all(runs: dict[str, EditingRun], folder: Path, *, jobs: int | None = None, progress: bool = True) -> dict[str, dict]:
    """Several runs, each in a process of its own: `rcedu.side_by_side.run_all` of `run_one`."""
    return side_by_side.run_all(run_one, runs, folder, jobs=jobs, progress=progress)


def summarize(results: Sequence[dict]) -> dict[str, dict[str, dict[str, dict]]]:
    """The table over several seeds: task -> who -> steps -> {mark: [value, low, high]}, and "nfe", and "seeds"."""
    return {
        task: {
            who: {steps: summarize_plain([result["rows"][task][who][steps] for result in results]) for steps in of}
            for who, of in rows.items()
        }
        for task, rows in results[0]["rows"].items()
    }


def gallery(run: EditingRun, folder: Path, count: int = 8) -> dict[str, Tensor]:
    """The first pictures of a finished run, before and after: "source", and "task, who, steps" -> (count, channels, H, W)."""
    domain = EDITS[run.few_steps.domain]()
    found, _ = ways(run, folder, domain)
    images, old = domain.real(count), domain.attributes(count)
    pictures = {"source": images}
    for task, ask in TASKS.items():
        edit = ask(domain, images, old)
        for (who, steps), (encoder, model) in found.items():
            pictures[f"{task}, {who}, {steps}"] = perform(task, domain, edit, encoder, model, steps, seed=run.few_steps.seed)
    return pictures


class EditFrames(NamedTuple):
    """Pictures of one sketch each, under every label, for every strength and number of steps: what an `EditExplorer` shows."""

    source: Tensor  # (S, 1, H, W) uint8
    shows: list[int]  # the digit of each source
    labels: list[int]  # asked for
    strengths: list[float]
    steps: list[int]
    drawn: Tensor  # (S, labels, strengths, steps, 1, H, W) uint8
    read: Tensor  # the same without (1, H, W): what the judge reads

    def sentence(self, source: int, label: int, strength: int, steps: int) -> str:
        """A frame in words; the arguments are indices."""
        count, N = _steps_of(self.strengths[strength], self.steps[steps]), self.steps[steps]
        return (
            f"a {self.shows[source]}, asked for a {self.labels[label]}: the last {count} of {N} steps, {count} "
            f"evaluation{'s' * (count > 1)}; read as {int(self.read[source, label, strength, steps])}"
        )


def _steps_of(strength: float, steps: int) -> int:
    """How many of a grid's steps a strength is: one at least."""
    return max(1, round(strength * steps))


def edit_frames(
    models: Mapping[int, DiffusionModel], judge, images: Tensor, shows: Sequence[int], strengths: Sequence[float], w: float
) -> EditFrames:
    """Draw all frames by `image_to_image` with the same noise: models by their number of steps; `judge.probabilities` reads.

    images (S, 1, H, W) uint8, of the digits `shows`; the labels asked for are all ten
    """
    labels = list(range(10))
    c = torch.tensor(labels).repeat(len(images))
    sources = images.repeat_interleave(len(labels), dim=0)
    drawn = torch.stack(
        [
            torch.stack(
                [
                    image_to_image(model, sources, c, w=w, steps=N, strength=_steps_of(strength, N) / N)
                    for N, model in models.items()
                ]
            )
            for strength in strengths
        ]
    )  # (strengths, steps, S labels, 1, H, W)
    drawn = drawn.unflatten(2, (len(images), len(labels))).permute(2, 3, 0, 1, 4, 5, 6).contiguous()
    read = judge.probabilities(drawn.flatten(0, 3)).argmax(dim=1).view(drawn.shape[:4])
    return EditFrames(images, [int(digit) for digit in shows], labels, list(strengths), list(models), drawn, read)
