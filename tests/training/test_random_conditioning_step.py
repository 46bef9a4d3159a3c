"""The step of random conditioning, against the same step written out."""

from functools import partial

import pytest
import torch
from diffusers import UNet2DConditionModel
from small import Made, small_digit_model, small_text_model

from rcedu.data.cache import Cache
from rcedu.equations.losses import capture
from rcedu.equations.noise import alpha_sigma
from rcedu.equations.random_conditioning import p_exponential, randomize
from rcedu.models.diffusion import with_unet
from rcedu.models.surgery import narrow_channels, remove_blocks
from rcedu.system.usage import UsageError
from rcedu.training.batches import Subset, Swap
from rcedu.training.draws import Draw
from rcedu.training.fit import fit
from rcedu.training.guided_steps import guidance_student
from rcedu.training.random_conditioning_step import DistilledStudent, distillation_step, make_student

POOL = torch.arange(10)
SWAP = Swap(POOL, partial(p_exponential, T=1000))


@pytest.fixture
def teacher():
    return small_digit_model()


@pytest.fixture
def cache(small_cache_folder, teacher):
    return Cache(small_cache_folder, teacher)


def distilled(teacher, student: str, features: bool = True) -> DistilledStudent:
    torch.manual_seed(1)
    unet = narrow_channels(teacher.unet, student) if student.startswith("C-") else remove_blocks(teacher.unet, student)
    return DistilledStudent(with_unet(teacher, unet), teacher, features)


class Watched:
    """A trainee that remembers what it was given."""

    def __init__(self, trainee):
        self.trainee, self.x_t, self.t, self.c = trainee, [], [], []

    def __call__(self, x_t, t, c):
        self.x_t.append(x_t)
        self.t.append(t)
        self.c.append(c)
        return self.trainee(x_t, t, c)


@pytest.mark.parametrize("space", [None, "epsilon", "sample"])
@pytest.mark.parametrize("student", ["base", "tiny", "C-Micro"])
def test_the_step_written_out(teacher, cache, student, space):
    """Both loss parts from their formulas, for what the student was shown."""
    trainee = distilled(teacher, student)
    step = distillation_step(teacher, trainee, cache, SWAP, space=space)
    watched = Watched(trainee)
    losses = step(watched, Draw(0, 0, 8))
    x_t, t, c = watched.x_t[0], watched.t[0], watched.c[0]
    names = [pair.teacher for pair in trainee.pairs]
    with torch.no_grad():
        with capture(teacher.unet, names) as f_T:
            v_T = teacher(x_t, t, c)
        v_S, f_S = trainee(x_t, t, c)
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    scale = {None: 1.0, "epsilon": alpha_t, "sample": sigma_t}[space]  # d_eps = alpha_t d_v, d_x0 = sigma_t d_v
    assert losses["out"].item() == pytest.approx(((scale * (v_T - v_S)) ** 2).mean().item(), rel=1e-5)
    by_layer = [((f_T[name] - f) ** 2).mean().item() for name, f in zip(names, f_S, strict=True)]
    assert losses["feat"].item() == pytest.approx(sum(by_layer), rel=1e-5)


def test_x_t_comes_from_a_cached_sample_at_t(teacher, cache):
    """x_t = alpha_t x0 + sigma_t eps with x0 of the visible rows only, and eps of unit variance."""
    rows, watched = torch.tensor([2, 7]), Watched(distilled(teacher, "tiny"))
    step = distillation_step(teacher, watched.trainee, Subset(cache, rows), Swap(POOL, lambda t: 0.0 * t))
    with torch.no_grad():
        for k in range(10):
            step(watched, Draw(0, k, 16))
    x_t, t, c = torch.cat(watched.x_t), torch.cat(watched.t), torch.cat(watched.c)
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    early = t < 200  # where the two samples can be told apart
    both = cache.x0(rows)  # (2, C, H, W)
    eps = (x_t[:, None] - alpha_t[:, None] * both) / sigma_t[:, None]
    spread = eps.flatten(2).std(2)  # (B, 2): 1 for the right one
    assert early.sum() > 10 and ((spread.amin(1) - 1).abs() < 0.2)[early].all()
    nearest = rows[spread.argmin(1)]
    paired = (c != teacher.conditions.null) & early
    assert paired.any() and torch.equal(c[paired], nearest[paired])  # p = 0: labels are the samples' own


@pytest.mark.parametrize("p, null_probability", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 0.3)])
def test_conditions_that_the_student_sees(teacher, cache, p, null_probability):
    """The unseen digit comes through the swap alone; the null condition replaces swapped labels too."""
    rows, watched = torch.tensor([0, 1]), Watched(distilled(teacher, "tiny"))
    data, swap = Subset(cache, rows), Swap(torch.tensor([3, 4]), lambda t: torch.full((len(t),), p))
    step = distillation_step(teacher, watched.trainee, data, swap, null_probability=null_probability)
    with torch.no_grad():
        for k in range(6):
            step(watched, Draw(0, k, 16))
    seen = set(torch.cat(watched.c).tolist())
    expected = (set() if null_probability == 1 else {0, 1} if p == 0 else {3, 4}) | ({10} if null_probability else set())
    assert seen == expected


def test_p_does_not_change_which_samples_and_noise_are_drawn(teacher, cache):
    """Arms with and without random conditioning differ in conditions and in nothing else."""
    seen = []
    for p in (0.0, 1.0):
        watched = Watched(distilled(teacher, "tiny"))
        step = distillation_step(teacher, watched.trainee, cache, Swap(POOL, lambda t, p=p: torch.full((len(t),), p)))
        step(watched, Draw(0, 0, 16))
        seen.append(watched)
    assert torch.equal(seen[0].x_t[0], seen[1].x_t[0]) and torch.equal(seen[0].t[0], seen[1].t[0])
    assert not torch.equal(seen[0].c[0], seen[1].c[0])


def test_without_features(teacher, cache):
    """No pairs, no projections without a gradient (ranks would wait for them), no L_feat."""
    trainee = distilled(teacher, "C-Micro", features=False)
    step = distillation_step(teacher, trainee, cache, SWAP)
    losses = step(trainee, Draw(0, 0, 4))
    assert set(losses) == {"out"}
    losses["out"].backward()
    assert all(p.grad is not None for p in trainee.parameters() if p.requires_grad)


@pytest.mark.parametrize("student", ["tiny", "C-Micro"])
def test_students_of_stable_diffusion_2(tmp_path, student):
    """Its attentions end in a linear layer, with features (B, HW, C); written out as 1x1 convolutions they say the same."""
    model = small_text_model(tmp_path)
    config = {key: value for key, value in model.unet.config.items() if not key.startswith("_")}
    torch.manual_seed(0)
    linear, convolved = (
        UNet2DConditionModel.from_config(config | {"attention_head_dim": (2, 2, 4, 4), "use_linear_projection": here})
        for here in (True, False)
    )
    convolved.load_state_dict({name: x.view_as(convolved.state_dict()[name]) for name, x in linear.state_dict().items()})
    losses = []
    for unet in (linear, convolved):
        teacher = with_unet(model, unet)
        trainee = DistilledStudent(make_student(teacher, student, teacher_init=True, seed=0), teacher)
        for i, projection in enumerate(trainee.projections):
            for x in projection.parameters():
                torch.nn.init.normal_(x, std=0.3, generator=torch.Generator().manual_seed(i))
        c = model.conditions.tokenize(["a white one on a navy background"] * 4)
        data = Made(torch.randn(4, *model.x_shape, generator=torch.Generator().manual_seed(0)), c)
        step = distillation_step(teacher, trainee, data, Swap(c, partial(p_exponential, T=teacher.T)))
        losses.append(step(trainee, Draw(0, 0, 4)))
        sum(losses[-1].values()).backward()
    assert losses[0]["feat"] > 0 and all(
        losses[0][name].item() == pytest.approx(x.item(), rel=1e-4) for name, x in losses[1].items()
    )


def test_the_teacher_is_frozen_and_the_student_learns(teacher, cache):
    """Thirty steps: both loss parts fall, on the same draw, and no weight of the teacher moves."""
    before = teacher.fingerprint()
    trainee = distilled(teacher, "base")
    step = distillation_step(teacher, trainee, cache, SWAP)
    with torch.no_grad():
        first = step(trainee, Draw(7, 0, 32))
    for _ in fit(step, trainee, steps=30, batch_size=8, lr=3e-3):
        pass
    with torch.no_grad():
        last = step(trainee, Draw(7, 0, 32))
    assert last["out"] < 0.8 * first["out"] and last["feat"] < 0.8 * first["feat"]
    assert teacher.fingerprint() == before and not any(p.requires_grad for p in teacher.parameters())


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_task_loss_is_on_the_samples_that_kept_their_condition(teacher, cache, p):
    """Against the definition, with the draws repeated; 0 when every condition was swapped."""
    watched = Watched(distilled(teacher, "tiny"))
    step = distillation_step(teacher, watched.trainee, cache, Swap(POOL, lambda t: torch.full((len(t),), p)), task=True)
    with torch.no_grad():
        losses = step(watched, Draw(0, 0, 16))
    draw = Draw(0, 0, 16)
    pick, t, eps = draw.integers(10), draw.integers(teacher.T), draw.normal(*teacher.x_shape)
    _, replaced = randomize(cache.c[pick], t, POOL, p, draw.generator)
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    v = alpha_t * eps - sigma_t * cache.x0(pick)
    with torch.no_grad():
        v_S, _ = watched.trainee(watched.x_t[0], t, watched.c[0])
    each = ((v - v_S) ** 2).flatten(1).mean(dim=1)[~replaced]
    assert losses["task"].item() == pytest.approx(each.mean().item() if len(each) else 0.0, rel=1e-5)


def test_a_teacher_of_few_steps(teacher, cache):
    """It is asked at the times of its grid only, with w; the loss is that of the same inputs, written out."""
    fast = guidance_student(teacher)
    with torch.no_grad():
        fast.unet.time_embedding.cond_proj.weight.normal_(generator=torch.Generator().manual_seed(0))
    trainee = distilled(fast, "tiny")
    settings = {"null_probability": 0.0, "w": (1.0, 3.0), "times": [999, 749, 499, 249]}
    step = distillation_step(fast, trainee, cache, SWAP, **settings)
    seen = []

    def watched(x_t, t, c, w):
        seen.append((x_t, t, c, w))
        return trainee(x_t, t, c, w)

    losses = [step(watched, Draw(0, number, 8)) for number in range(4)]
    assert set(torch.cat([t for _, t, _, _ in seen]).tolist()) == {999, 749, 499, 249}
    w = torch.cat([w for *_, w in seen])
    assert 1 <= w.min() < 1.5 and 2.5 < w.max() <= 3
    for loss, (x_t, t, c, w) in zip(losses, seen, strict=True):
        with torch.no_grad():
            out = (trainee.student(x_t, t, c, w) - fast(x_t, t, c, w)).square().mean()
        assert loss["out"].item() == pytest.approx(out.item())


def test_an_unknown_student_is_refused_with_all_that_are_known(teacher):
    with pytest.raises(UsageError, match=r"unknown student 'tinny'; choose from base, small, tiny, C-Base, .*C-Micro"):
        make_student(teacher, "tinny", teacher_init=False, seed=0)
