"""Stage 1 and stage 2: what a student is before training, what it is asked for, and that diffusers opens it."""

import pytest
import torch
from diffusers import StableDiffusionPipeline
from small import Made, max_error, seeded, small_digit_model, small_text_model

from rcedu.equations.guidance import cfg
from rcedu.equations.noise import alpha_sigma, training_target, x0_and_eps
from rcedu.equations.progressive import jumps
from rcedu.equations.sampling import along, ddim_step, finish, time_grid
from rcedu.models.diffusion import DiffusionModel
from rcedu.models.surgery import parameter_count, with_guidance_input
from rcedu.system.usage import UsageError
from rcedu.training.batches import Subset, Swap
from rcedu.training.draws import Draw
from rcedu.training.fit import fit
from rcedu.training.guided_steps import consistency_step, guidance_step, guidance_student, halving_step


@pytest.fixture(scope="module", params=["digits", "text"])
def teacher(request, tmp_path_factory):
    return small_digit_model() if request.param == "digits" else small_text_model(tmp_path_factory.mktemp("tokenizer")).eval()


@pytest.fixture(scope="module")
def source(teacher):
    count = 6
    x0 = torch.randn(count, *teacher.x_shape, generator=seeded(5))
    text = hasattr(teacher.conditions, "tokenize")
    c = teacher.conditions.tokenize(["a white three on a navy background"] * count) if text else torch.arange(count)
    return Made(x0, c)


def hears_w(student: DiffusionModel, seed: int = 0) -> DiffusionModel:
    """A student whose input for w is not zero any more."""
    weight = student.unet.time_embedding.cond_proj.weight
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=seeded(seed)) * 0.2)
    return student.eval()


def inputs(model, source, count=4):
    t = torch.tensor([0, 300, 700, 999])[:count]
    return torch.randn(count, *model.x_shape, generator=seeded(1)), t, source.c[:count]


def test_the_untrained_student_is_the_conditional_teacher(teacher, source):
    """At any w, to the last bit; and it has one layer more."""
    student = guidance_student(teacher).eval()
    x_t, t, c = inputs(teacher, source)
    with torch.no_grad():
        for w in (0.0, 1.0, 13.0):
            assert torch.equal(student(x_t, t, c, torch.full((4,), w)), teacher(x_t, t, c))
    extra = 256 * teacher.unet.config.block_out_channels[0]
    assert parameter_count(student.unet) == parameter_count(teacher.unet) + extra
    assert not {p.data_ptr() for p in student.unet.parameters()} & {p.data_ptr() for p in teacher.unet.parameters()}


def test_w_is_asked_of_those_that_take_it(teacher, source):
    student = guidance_student(teacher)
    x_t, t, c = inputs(teacher, source)
    with pytest.raises(ValueError, match="wants w"):
        student(x_t, t, c)
    with pytest.raises(ValueError, match="no input for w"):
        teacher(x_t, t, c, torch.zeros(4))
    with pytest.raises(UsageError, match="takes w already"):
        with_guidance_input(student.unet)


def test_w_matters_once_it_is_heard(teacher, source):
    """Every sample has its own w; sampling takes one evaluation a step, of B."""
    student = hears_w(guidance_student(teacher))
    x_t, t, c = inputs(teacher, source)
    with torch.no_grad():
        mixed = student(x_t, t, c, torch.tensor([0.0, 1.0, 2.0, 4.0]))
        for i, w in enumerate((0.0, 1.0, 2.0, 4.0)):
            assert max_error(mixed[i], student(x_t, t, c, torch.full((4,), w))[i]) < 1e-4
        assert max_error(mixed[3], student(x_t, t, c, torch.zeros(4))[3]) > 1e-3
    calls = []
    student.unet.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    student.sample_x0(x_t, c, w=2.0, steps=3)
    assert calls == [4, 4, 4]


def test_guidance_one_w_a_sample(teacher, source):
    x_t, t, c = inputs(teacher, source)
    w = torch.tensor([0.0, 1.0, 2.0, 4.0])
    null = torch.as_tensor(teacher.conditions.null).expand_as(c)
    with torch.no_grad():
        together = teacher.predictor(c, w)(x_t, t)
        apart = cfg(teacher(x_t, t, c), teacher(x_t, t, null), w.view(-1, 1, 1, 1))
    assert max_error(together, apart) < 1e-4


@pytest.mark.parametrize("space", ["v_prediction", "truncated SNR"])
def test_stage_1_asks_for_what_guidance_gives(teacher, source, space):
    """A student that *is* two evaluations of its teacher has no loss; a deaf one has E omega w^2 |x0_c - x0_null|^2."""
    student = guidance_student(teacher).eval()
    step = guidance_step(teacher, student, source, (0.0, 4.0), space=space)
    draw = Draw(seed=3, step=0, batch_size=4)

    def perfect(x_t, t, c, w):
        return teacher.predictor(c, w)(x_t, t)

    assert step(perfect, draw)["guidance"].item() < 1e-9

    seen = {}

    def deaf(x_t, t, c, w):
        seen.update(x_t=x_t, t=t, c=c, w=w)
        return student(x_t, t, c, w)

    loss = step(deaf, Draw(seed=3, step=0, batch_size=4))["guidance"].item()
    x_t, t, c, w = seen.values()
    assert ((w >= 0) & (w < 4)).all() and len(w.unique()) == 4
    alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
    null = torch.as_tensor(teacher.conditions.encode(teacher.conditions.null)).expand_as(c)
    with torch.no_grad():
        x0 = [
            x0_and_eps(x_t, teacher(x_t, t, k), teacher.prediction_type, alpha_t=alpha_t, sigma_t=sigma_t)[0] for k in (c, null)
        ]
    snr = (alpha_t / sigma_t) ** 2
    omega = snr + 1 if space == "v_prediction" else snr.clamp(min=1)
    assert loss == pytest.approx((omega * (w.view(-1, 1, 1, 1) * (x0[0] - x0[1])) ** 2).mean().item(), rel=1e-3)


@pytest.mark.parametrize("sampler", ["deterministic", "stochastic", "encoder"])
@pytest.mark.parametrize("steps", [1, 4])
def test_stage_2_asks_for_two_steps_in_one(teacher, source, steps, sampler):
    """Whoever answers with the network output that takes DDIM to the teacher's z_next has no loss."""
    before = hears_w(guidance_student(teacher))
    student = hears_w(guidance_student(teacher), seed=1)
    step = halving_step(before, student, source, (0.0, 4.0), steps, sampler=sampler)
    table = jumps(torch.arange(steps), steps, teacher.T, sampler)

    def perfect(x_t, t, c, w):
        assert set(t.tolist()) <= set(table.t.tolist())
        row = torch.stack([(table.t == i).nonzero()[0, 0] for i in t])
        t_mid, t_next = table.t_mid[row], table.t_next[row]
        predict = before.predictor(c, w)
        z_mid, _ = ddim_step(x_t, predict(x_t, t), t, t_mid, teacher.scheduler)
        z_next, _ = ddim_step(z_mid, predict(z_mid, t_mid), t_mid, t_next, teacher.scheduler)
        (a, b), (a_n, b_n) = (alpha_sigma(teacher.scheduler, i, dtype=torch.float64) for i in (t, t_next))
        x0 = (z_next - b_n / b * x_t) / (a_n - b_n / b * a)
        return training_target(x0, (x_t - a * x0) / b, teacher.prediction_type, alpha_t=a, sigma_t=b)

    with torch.no_grad():
        assert step(perfect, Draw(seed=3, step=0, batch_size=4))["halving"].item() < 1e-6
        assert step(student, Draw(seed=3, step=0, batch_size=4))["halving"].item() > 1e-4


def test_v_out_of_an_eps_teacher(tmp_path):
    """The target is the same x0, whatever the student predicts: its loss in v is that of the eps it stands for."""
    teacher = small_text_model(tmp_path).eval()
    teacher.scheduler.register_to_config(prediction_type="epsilon")
    student = guidance_student(teacher, prediction_type="v_prediction")
    assert student.prediction_type == "v_prediction" and teacher.prediction_type == "epsilon"
    c = teacher.conditions.tokenize(["a white three on a navy background"] * 6)
    x0 = torch.randn(6, *teacher.x_shape, generator=seeded(5))
    step = guidance_step(teacher, student, Made(x0, c), (0.0, 4.0))

    def perfect(x_t, t, c, w):
        alpha_t, sigma_t = alpha_sigma(teacher.scheduler, t)
        eps = teacher.predictor(c, w)(x_t, t)
        x0 = (x_t - sigma_t * eps) / alpha_t
        return alpha_t * eps - sigma_t * x0

    assert step(perfect, Draw(seed=3, step=0, batch_size=4))["guidance"].item() < 1e-6


def test_a_stage_of_each_trains(teacher, source):
    """Every parameter of the UNet gets a gradient, the input for w included, and the teacher none."""
    student = guidance_student(teacher)
    for _ in fit(guidance_step(teacher, student, source, (0.0, 4.0)), student, steps=2, batch_size=4):
        pass
    assert student.unet.time_embedding.cond_proj.weight.abs().max() > 0
    after = guidance_student(teacher)
    after.load_state_dict(student.state_dict())
    student.zero_grad(set_to_none=True)
    halve = halving_step(student, after, source, (0.0, 4.0), 4)
    sum(halve(after.train(), Draw(seed=0, step=0, batch_size=4)).values()).backward()
    assert all(p.grad is not None for p in after.unet.parameters())
    assert all(p.grad is None for p in student.parameters())


@pytest.mark.parametrize("w", [0.0, 2.0, 6.5])
def test_the_student_draws_the_same_in_a_stock_pipeline(tmp_path, w):
    """pipeline(guidance_scale = w + 1), which then evaluates once a step."""
    student = hears_w(guidance_student(small_text_model(tmp_path / "tokenizer").eval()))
    student.save(tmp_path / "student")
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "student", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    calls = []
    pipeline.unet.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    noise, texts = student.noise(2, seed=1), ["a white three on a navy background", "an orange one on a teal background"]
    stock = pipeline(texts, latents=noise, num_inference_steps=4, guidance_scale=w + 1, output_type="latent").images
    ours = student.sample_x0(noise, student.conditions.tokenize(texts), w=w, steps=4)
    assert calls == [2] * 4
    assert max_error(stock, ours) < 1e-3


def test_saved_and_loaded_it_is_the_same(tmp_path, teacher, source):
    student = hears_w(guidance_student(teacher))
    student.save(tmp_path / "student")
    again = DiffusionModel.load(tmp_path / "student").eval()
    x_t, t, c = inputs(teacher, source)
    with torch.no_grad():
        assert again.takes_w and max_error(again(x_t, t, c, torch.ones(4)), student(x_t, t, c, torch.ones(4))) < 1e-5


def test_random_conditioning_inside(teacher, source):
    """With p = 1 every network is asked about a stranger of the pool; without a pool, or with p = 0, nothing changes."""
    student = hears_w(guidance_student(teacher))
    data, pool = Subset(source, torch.arange(3)), source.c[3:]
    steps = {
        "guidance": lambda swap=None: guidance_step(teacher, student, data, (0.0, 4.0), swap=swap),
        "halving": lambda swap=None: halving_step(student, student, data, (0.0, 4.0), 4, swap=swap),
        "consistency": lambda swap=None: consistency_step(student, student, data, (0.0, 4.0), swap=swap),
    }
    seen = []

    def watched(x_t, t, c, w):
        seen.extend(c)
        return student(x_t, t, c, w)

    def was_asked_of(conditions) -> bool:
        return all(any(max_error(c.float(), x.float()) < 1e-5 for x in teacher.conditions.encode(conditions)) for c in seen)

    for name, make in steps.items():
        with torch.no_grad():
            seen.clear()
            plain = make()(watched, Draw(seed=3, step=0, batch_size=4))[name]
            assert was_asked_of(source.c[:3])
            assert torch.equal(make(Swap(pool, 0.0))(student, Draw(seed=3, step=0, batch_size=4))[name], plain)
            seen.clear()
            make(Swap(pool, 1.0))(watched, Draw(seed=3, step=0, batch_size=4))
            assert was_asked_of(pool)


def test_a_network_that_ends_where_ddim_ends_is_consistent(teacher, source):
    """f(x_t, t) = the end of the teacher's own way from x_t over the grid: the loss is 0, at its last step too."""
    fast, steps = hears_w(guidance_student(teacher)), 5
    step = consistency_step(fast, fast, source, (0.0, 4.0), steps=steps)
    grid, asked = [*time_grid(steps, teacher.T), -1], []

    def perfect(x_t, t, c, w):
        asked.append(t)
        ends = []
        for i, time in enumerate(t.tolist()):
            one = slice(i, i + 1)
            rest = grid[grid.index(time) :] if time in grid else [time, -1]  # only the last point's next, t = 0, is not in it
            ends.append(finish(along(fast.predictor(c[one], w[one]), x_t[one], rest, scheduler=fast.scheduler)))
        x0, (alpha_t, sigma_t) = torch.cat(ends), alpha_sigma(fast.scheduler, t)
        return training_target(x0, (x_t - alpha_t * x0) / sigma_t, "v_prediction", alpha_t=alpha_t, sigma_t=sigma_t)

    began = set()
    for number in range(4):
        with torch.no_grad():
            assert step(perfect, Draw(seed=3, step=number, batch_size=8))["consistency"].item() < 1e-6
            assert step(fast, Draw(seed=3, step=number, batch_size=8))["consistency"].item() > 1e-5
        began |= set(asked[-1].tolist())
    assert began == set(grid[:-1])  # from every point, the one whose next is clean data included
