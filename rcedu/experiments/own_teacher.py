"""Your own text-to-image teacher as a domain: any Stable Diffusion folder, its samples, and the prompts to score by."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor

from rcedu.data.cache import Samples, derived_seed
from rcedu.data.mnist import to_uint8
from rcedu.evaluation.records import Column
from rcedu.experiments.domain import Domain
from rcedu.experiments.mini_sd import GUIDANCE, MiniSD
from rcedu.models.diffusion import DiffusionModel, at_a_time, with_unet
from rcedu.models.layouts import check_same_space
from rcedu.models.saved import load_student, sampler_settings, save_pipeline
from rcedu.system.files import sha256
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_tensors
from rcedu.system.usage import UsageError
from rcedu.training.swap_schedules import MEASURED, NONE

SD_GUIDANCE = 6.5  # w of the papers' guidance_scale 7.5
BATCH = 250  # pictures drawn at a time, fewer where they are large


def is_mini_sd(model: DiffusionModel) -> bool:
    """Whether a model is mini-SD or one of its students, whose pictures mini-SD's judge can read."""
    mini = MiniSD().teacher
    return model.conditions.settings == mini.conditions.settings and model.codec.settings == mini.codec.settings


def usual_guidance(model: DiffusionModel) -> float:
    """The default w: mini-SD's best for it and its students, the papers' for others."""
    return GUIDANCE if is_mini_sd(model) else SD_GUIDANCE


class OwnTeacher(Domain):
    """Every stage's network becomes a pipeline in its own folder, which a stock diffusers pipeline opens.

    teacher    the model that is distilled, which does not take w
    data       clean latents and their conditions (`rcedu.data.cache.Samples`): drawn by the teacher, or of real pictures
    texts      the prompts to score by, used in turn
    networks   the folder in which each stage's network gets a folder
    steps      DDIM steps of the teacher's guided pictures, the reference of the error
    pool       C of random conditioning; None without it
    stage_1    a finished stage 1 of this teacher, a network that takes w
    measured   the table of this teacher's p(t)

    UsageError if `stage_1` does not take w, or has another latent space than the teacher.
    """

    ships = MiniSD  # whose judge reads mini-SD's pictures

    def __init__(
        self, teacher: DiffusionModel, data: Samples, texts: Sequence[str], networks: Path, *,
        steps: int, w: float | None = None, pool=None, stage_1: DiffusionModel | None = None, measured: Path | None = None,
    ):  # fmt: skip
        self.teacher, self.data, self.texts, self.networks, self.steps = teacher, data, list(texts), Path(networks), steps
        self.judged = is_mini_sd(teacher)
        self.w = usual_guidance(teacher) if w is None else w
        self.pool = teacher.conditions.tokenize(self.texts) if pool is None else pool
        self.columns = (*((Column("all"), Column("fid")) if self.judged else ()), Column("error"))
        self.stops_on = "fid" if self.judged else "error"
        self.measured, self.guided = measured, {}
        if stage_1 is not None:
            check_same_space(stage_1, teacher)
            if not stage_1.takes_w:
                raise UsageError("the network for stage 1 has no input for w; give one that stage 1 has trained")
            self.stage_1 = with_unet(teacher, stage_1.unet, stage_1.prediction_type)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Fingerprints of everything but the pool and p(t); cached, since hashing a teacher takes a while."""
        found = {"teacher": self.teacher.fingerprint(), "data": self.data.fingerprint()}
        found["prompts"] = hash_tensors({"c": self.teacher.conditions.tokenize(self.texts)})
        if self.stage_1 is not None:
            found["stage 1"] = self.stage_1.fingerprint()
        return found | ({"judge": hash_tensors(self.shipped.judge.state_dict())} if self.judged else {})

    def fingerprints(self, p: str = NONE, **others) -> dict[str, str]:
        return self.identity | ({"measured p(t)": sha256(self.measured)} if p in MEASURED and self.measured else {})

    def asked(self, count: int) -> list[str]:
        return [self.texts[i % len(self.texts)] for i in range(count)]

    def c(self, count: int) -> Tensor:
        return self.teacher.conditions.tokenize(self.asked(count))

    def keep(self, student: DiffusionModel, folder: Path, *, steps: int | None, sampler: str, w_max: float) -> None:
        save_pipeline(student, self.networks / folder.name, steps=steps, sampler=sampler, w_max=w_max)

    def kept(self, folder: Path) -> DiffusionModel:
        return load_student(self.teacher, self.networks / folder.name / "unet")

    def latents(self, model: DiffusionModel, count: int, *, w: float, steps: int, sampler: str, seed: int) -> Tensor:
        """x0 (count, C, H, W) for the prompts that are `asked`, on the CPU. Ranks share the work; their number changes nothing.

        The noise is that of `Domain.sample`; noise that a sampler adds is a function of (seed, batch).
        """
        ranks, batch = place_among_ranks(), at_a_time(model.x_shape, BATCH)
        noise, c = model.to(ranks.device).noise(count, seed).split(batch), self.c(count).split(batch)
        mine = []
        for k in range(ranks.process_index, len(noise), ranks.num_processes):
            how = {"w": w, "steps": steps, "batch_size": batch, **sampler_settings(sampler, derived_seed(seed, k))}
            mine.append((k, model.sample_x0(noise[k], c[k], **how)))
        return torch.cat([x0 for _, x0 in sorted(gather_object(mine), key=lambda part: part[0])])

    def scores_of(self, model: DiffusionModel, count: int, **how) -> dict:
        """ "error": || x0 - x0_T || / || x0_T || over the latents, with x0_T the teacher's guided ones from the same noise at
        this w, by DDIM in `steps` steps; noise that a sampler adds counts as error. For mini-SD also `MiniSD.scores`, first.
        """
        which = how["w"], how["seed"], count
        if which not in self.guided:  # latents, not pictures: a fiftieth of the memory
            plain = {"steps": self.steps, "sampler": "deterministic"}
            self.guided[which] = self.latents(self.teacher, count, **{**how, **plain})
        x0, x0_T = self.latents(model, count, **how), self.guided[which]
        found = {"error": ((x0 - x0_T).norm() / x0_T.norm()).item()}
        if not self.judged:
            return found
        return self.shipped.scores(to_uint8(self.teacher.codec.decode(x0)), self.asked(count)) | found
