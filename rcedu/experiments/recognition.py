"""A classifier that reads a digit it never saw (Hinton, Vinyals & Dean 2015, section 3).

The counterpart of `unseen_digit`, from the same pictures without that digit. Soft targets say how much of a 3 is in each
picture, so plain distillation teaches what a 3 looks like. They do not say how often 3s occur; one number fixes that.
"""

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rcedu.data.mnist import mnist
from rcedu.evaluation.intervals import unseen_and_seen
from rcedu.evaluation.records import Column, Record, scored
from rcedu.experiments.digits import Shipped, visible_rows
from rcedu.experiments.domains import DrawnDigits
from rcedu.experiments.runner import Experiment, Job
from rcedu.models.judges import DigitClassifier
from rcedu.system.usage import AtLeast1, BatchSize, Checked, Digit, LearningRate, Positive, Seed
from rcedu.training.draws import Draw
from rcedu.training.fit import fit_run

BUDGETS = {"smoke": {"steps": 3}, "cpu": {"steps": 400}, "gpu": {"steps": 1500}}


@dataclass(frozen=True)
class RecognitionRun(Checked):
    """One classifier, taught by the judge, from pictures that lack a digit."""

    temperature: Positive | None = 10.0  # of the soft targets; None: train on the pictures' labels instead
    digit: Digit = 3  # the held-out digit
    steps: AtLeast1 = 400
    batch_size: BatchSize = 64
    lr: LearningRate = 2e-3
    seed: Seed = 0


ROWS = {"labels": RecognitionRun(temperature=None)} | {
    f"soft targets, τ = {temperature}": RecognitionRun(temperature=temperature) for temperature in (1, 4, 10)
}


def soft_target_loss(logits: Tensor, target: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(softmax(target / tau) || softmax(logits / tau)), averaged over the batch; both (B, classes).

    Hinton, Vinyals & Dean 2015: tau^2 keeps the size of the gradient independent of tau. A larger tau says more about the
    classes that a picture does not show.
    """
    mine, wanted = ((x / temperature).log_softmax(dim=1) for x in (logits, target))
    return temperature**2 * F.kl_div(mine, wanted.detach(), log_target=True, reduction="batchmean")


def raise_to(share: float, logits: Tensor, label: int) -> float:
    """What to add to a label's column of logits (N, classes) so that this share of pictures is read as it. Needs no labels."""
    others = logits.clone()
    others[:, label] = -torch.inf
    short = (others.amax(dim=1) - logits[:, label]).sort().values  # how far each picture is from being read as this label
    last = max(1, round(share * len(logits)))
    return short[last - 1 : last + 1].mean().item()


def train_reader(run: RecognitionRun, shipped: Shipped, **settings) -> DigitClassifier:
    """Train the student on the teacher's samples without the digit and its look-alikes (`visible_rows`)."""
    judge, rows = shipped.judge.eval(), visible_rows(shipped.cache, shipped.judge, run.digit)
    images, labels = shipped.cache.images()[rows], shipped.cache.c[rows]

    def step(student: nn.Module, draw: Draw) -> dict[str, Tensor]:
        pick = draw.integers(len(rows))
        batch, c = draw.mine(images[pick], labels[pick])
        if run.temperature is None:
            return {"cross entropy": F.cross_entropy(student(batch), c)}
        with torch.no_grad():
            target = judge.to(batch.device)(batch)
        return {"soft targets": soft_target_loss(student(batch), target, run.temperature)}

    torch.manual_seed(run.seed)
    student = DigitClassifier()
    fit_run(run, step, student, warmup=run.steps // 10, **settings)
    return student.cpu().eval()


@torch.no_grad()
def score_reader(student: DigitClassifier, digit: int) -> dict[tuple[str, str], list[int]]:
    """[read right, pictures] on MNIST's test set, for the held-out digit, "unseen", and the others, "seen"; also with the
    digit's logit raised so that a tenth of all pictures is read as it.
    """
    images, labels = mnist(train=False)
    logits = torch.cat([student(part) for part in images.split(1000)])
    raised = logits.clone()
    raised[:, digit] += raise_to(0.1, logits, digit)
    found = {}
    for name, of in (("read right", logits), ("read right, logit raised", raised)):
        found |= unseen_and_seen(of.argmax(dim=1) == labels, labels == digit, name)
    return found


def run_recognition(run: RecognitionRun, domain: DrawnDigits, job: Job) -> tuple[list[Record], dict]:
    """Train and score one run, with checkpoints in `job.folder`: its records and seconds."""
    start = time.perf_counter()
    student = train_reader(run, domain.shipped, folder=job.folder, config=job.config, watch=job.watch)
    records = scored(score_reader(student, run.digit), row=job.row, seed=run.seed)
    return records, {"seconds": round(time.perf_counter() - start, 1)}


COLUMNS = [Column(f"read right{raised}", task) for raised in ("", ", logit raised") for task in ("unseen", "seen")]
RECOGNITION = Experiment(ROWS, run_recognition, lambda run, domain: domain.fingerprints(), COLUMNS, budgets=BUDGETS)
