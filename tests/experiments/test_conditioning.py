"""How much the condition matters: on models whose answer is known, and on the teacher that ships."""

import pytest
import torch
from small import max_error, seeded

from rcedu.data.mnist import mnist, to_pixels
from rcedu.equations.noise import alpha_sigma
from rcedu.evaluation.intervals import Interval
from rcedu.experiments import conditioning
from rcedu.experiments.conditioning import Contest, measure_p, noised, sensitivity, strangers, torn_band, who_wins
from rcedu.experiments.denoising_frames import denoising_frames
from rcedu.experiments.digits import Shipped
from rcedu.models.anatomies import digit_model
from rcedu.models.diffusion import DiffusionModel, at_a_time


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    return Shipped()


class GaussianDigits(DiffusionModel):
    """The ideal v-prediction for data N(mean of c, s^2): everything about it is known in closed form."""

    s = 0.5

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(
            *(getattr(digit_model(widths=(8,), layers=1), part) for part in ("unet", "scheduler", "conditions", "codec"))
        )
        self.means = torch.randn(11, *self.x_shape, generator=seeded(1)) * 0.05

    def forward(self, x_t, t, c):
        alpha_t, sigma_t = alpha_sigma(self.scheduler, t)
        variance = alpha_t**2 * self.s**2 + sigma_t**2
        x0 = self.means[c] + alpha_t * self.s**2 / variance * (x_t - alpha_t * self.means[c])
        return (alpha_t * x_t - x0) / sigma_t


def test_strangers_are_never_the_own_label():
    labels = torch.tensor([0, 1, 2, 4, 5, 6, 7, 8, 9])
    c = labels[torch.randint(9, (9000,), generator=seeded(0))]
    other = strangers(c, labels, seed=1)
    assert (other != c).all() and not (other == 3).any()
    counts = torch.bincount(other[c == 0], minlength=10)
    assert (counts[[1, 2, 4, 5, 6, 7, 8, 9]] > 80).all()  # about 1000 / 8 each


def test_noised_is_the_forward_process(small_model):
    x0 = torch.randn(3, *small_model.x_shape, generator=seeded(0))
    alpha_t, sigma_t = alpha_sigma(small_model.scheduler, 300)
    assert torch.equal(noised(small_model, x0, 300, seed=5), alpha_t * x0 + sigma_t * small_model.noise(3, 5))


def test_measure_on_gaussians_is_the_closed_form():
    """KL_t = alpha^2 |m - m'|^2 / (2 (alpha^2 s^2 + sigma^2)) for every pair; p(t) from it."""
    model = GaussianDigits()
    labels = torch.tensor([0, 1, 2])
    c = labels.repeat(4)
    x0 = model.means[c] + model.s * torch.randn(12, *model.x_shape, generator=seeded(2))
    times = list(range(9, model.T, 10))
    found = measure_p(model, x0, c, labels, times, each=2)
    assert found.kl.shape == (len(times), 6)
    alpha_t, sigma_t = (a.flatten() for a in alpha_sigma(model.scheduler, torch.tensor(times), dtype=torch.float64))
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    gaps = torch.stack([((model.means[a] - model.means[b]) ** 2).sum() for a, b in pairs]).double()
    exact = alpha_t[:, None] ** 2 * gaps / (2 * (alpha_t**2 * model.s**2 + sigma_t**2))[:, None]
    middle = slice(20, None)  # below, ten t are a coarse step in SNR
    assert ((found.kl - exact)[middle].abs() / exact[middle].clamp(min=1e-3)).max() < 0.03
    assert max_error(found.overlap, torch.exp(-found.kl).mean(dim=1)) < 1e-12
    assert found.indifference.min() == 0 and found.indifference.max() <= 1


def test_large_pictures_are_worked_off_a_few_at_a_time(monkeypatch):
    """So that a teacher of Stable Diffusion's size fits where its students do; the same numbers."""
    model, asked = GaussianDigits(), []
    c, noise = torch.tensor([0, 1, 2, 0, 1]), torch.randn(5, *model.x_shape, generator=seeded(3))
    whole = sensitivity(model, noise, c, 9 - c, [499])
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda x, t, c: asked.append(len(x)) or forward(x, t, c))
    monkeypatch.setattr(conditioning, "at_a_time", lambda shape: 2 if shape == model.x_shape else 0)
    assert max_error(sensitivity(model, noise, c, 9 - c, [499]), whole) < 1e-6 and asked == [2, 2, 2, 2, 1, 1]
    assert (at_a_time((4, 64, 64)), at_a_time((4, 14, 14)), at_a_time((4, 2048, 2048))) == (32, 250, 1)


def test_measure_wants_enough_pictures():
    model = GaussianDigits()
    with pytest.raises(ValueError, match="5 pictures of every label are needed; there are 4 of 0"):
        measure_p(model, torch.zeros(8, *model.x_shape), torch.tensor([0, 1] * 4), torch.tensor([0, 1]), [999], each=5)


def test_measure_of_rows_of_tokens_and_of_some_pairs():
    """Conditions of several numbers are compared whole, and so many random pairs are a part of all of them."""

    class Words(GaussianDigits):
        def __call__(self, x_t, t, c):
            return super().__call__(x_t, t, c.sum(dim=1))

    labels, c = torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2] * 4)
    words = torch.tensor([[0, 0], [1, 0], [1, 1]])  # share their parts
    model, text_model = GaussianDigits(), Words()
    x0 = model.means[c] + torch.randn(12, *model.x_shape, generator=seeded(2))
    times = [199, 599, 999]
    every = measure_p(model, x0, c, labels, times, each=2)
    assert torch.equal(measure_p(text_model, x0, words[c], words, times, each=2).kl, every.kl)
    some = measure_p(text_model, x0, words[c], words, times, each=4, pairs=4, seed=1).kl
    exact = measure_p(model, x0, c, labels, times, each=4).kl
    columns = (some.T[:, None] - exact.T).abs().amax(dim=2)
    assert some.shape == (3, 4) and (columns.min(dim=1).values < 1e-3 * exact.max()).all()
    unordered = torch.tensor([0, 1, 0, 2, 1, 2])  # (a, b) and (b, a) are as far apart
    assert unordered[columns.argmin(dim=1)].bincount().max() <= 2  # no ordered pair twice
    with pytest.raises(ValueError, match="7 pairs were asked for; 3 conditions make 6"):
        measure_p(model, x0, c, labels, times, each=2, pairs=7)


def test_the_teacher_at_T_knows_only_averages(shipped):
    """At t = T the x0 predictions of two conditions are as far apart as MNIST's average digits, within a tenth."""
    teacher = shipped.teacher
    images, labels = mnist(train=True)
    average = torch.stack([to_pixels(images[labels == digit]).mean(dim=0).flatten() for digit in range(10)])
    c = torch.arange(10).repeat_interleave(9)
    other = torch.tensor([b for a in range(10) for b in range(10) if b != a])
    theory = ((average[c] - average[other]) ** 2).mean().item()
    squared = sensitivity(teacher, torch.zeros(90, *teacher.x_shape), c, other, [teacher.T - 1])
    assert squared.shape == (1, 90)
    assert squared.mean().item() == pytest.approx(theory, rel=0.1)


def test_same_condition_moves_nothing(small_model):
    c = torch.arange(4)
    assert sensitivity(small_model, torch.randn(4, *small_model.x_shape), c, c, [0, 500]).eq(0).all()


def test_source_wins_early_and_condition_late(shipped):
    """Sixteen real digits on the teacher that ships: at t = 99 nothing changes them, at t = 999 nothing is left of them."""
    images, labels = mnist(train=False)
    early, late = who_wins(shipped.teacher, shipped.judge, images[:16], labels[:16], [99, 999], steps=10)
    assert early.source.value > 0.85 and early.asked.value < 0.1
    assert late.asked.value > 0.85 and late.source.value < 0.1
    assert early.source.low <= early.source.value <= early.source.high


def test_torn_band():
    def contest(t, source, asked):
        return Contest(t, Interval(source, 0, 1), Interval(asked, 0, 1))

    ladder = [contest(100, 0.95, 0), contest(400, 0.8, 0.1), contest(600, 0.4, 0.5), contest(800, 0.1, 0.91)]
    assert torn_band(ladder) == (400, 600)
    assert torn_band([ladder[0], ladder[3]]) is None


def test_frames_hold_every_setting(shipped):
    images, labels = mnist(train=False)
    frames = denoising_frames(shipped.teacher, shipped.judge, images[:2], labels[:2], [99, 999], steps=5)
    assert frames.noise.shape == (2, 1, 28, 28) and frames.drawn.shape == (2, 2, 10, 1, 28, 28)
    own = noised(shipped.teacher, shipped.teacher.codec.encode(to_pixels(images[:2])), 99, seed=0)
    off = (frames.x_t(0, 1).int() - shipped.teacher.codec.pack(own / 2)[1].int()).abs()
    assert off.max() <= 30 and off.float().mean() < 1  # the eps of its file ends at two sigmas
    assert torch.allclose(frames.probabilities.sum(dim=-1), torch.ones(2, 2, 10), atol=1e-5)
    read = frames.probabilities.argmax(dim=-1)  # (time, source, asked)
    assert (read[0] == labels[:2, None]).float().mean() > 0.9  # nearly clean: the source, whatever is asked
    assert (read[1] == torch.arange(10)).float().mean() > 0.9  # pure noise: what is asked
    again = shipped.judge.probabilities(frames.drawn[1, 0])
    assert torch.allclose(frames.probabilities[1, 0], again, atol=1e-5)
