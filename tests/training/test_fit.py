"""The trainer: schedules, the average, stops at NaN, and runs that are killed, stopped or split over ranks."""

import json
import math
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from processes import free_port, go, one_rank_of, small_distillation, train, wait, wait_until, where_apple_silicon_computes
from small import max_error, seeded
from torch import nn

from rcedu.system.tensors import load_tensors
from rcedu.system.usage import UsageError
from rcedu.training import fit as training
from rcedu.training.checkpoints import checkpoints
from rcedu.training.draws import Draw
from rcedu.training.fit import Average, fit, learning_rate

# --- learning rate --------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", ["constant", "linear", "cosine"])
def test_learning_rate_closed_forms(decay):
    """Warm-up in equal steps to the peak, then the named shape over what is left."""
    settings = {"steps": 110, "peak": 0.5, "warmup": 10, "decay": decay}
    for step in range(10):
        assert learning_rate(step, **settings) == pytest.approx(0.5 * (step + 1) / 10, abs=1e-15)
    for step in range(10, 110):
        u = (step - 10) / 100
        shape = {"constant": 1, "linear": 1 - u, "cosine": math.cos(math.pi * u / 2) ** 2}[decay]
        assert learning_rate(step, **settings) == pytest.approx(0.5 * shape, abs=1e-15)


def test_unknown_decay():
    with pytest.raises(ValueError, match="'step'"):
        learning_rate(0, steps=1, peak=1, warmup=5, decay="step")


# --- a run that is watched ------------------------------------------------------------------------


def toy(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def toy_step(trainee, draw):
    x = draw.mine(draw.normal(3))
    return {"fit": (trainee(x) - x.sum(1, keepdim=True)).square().mean(), "size": 0.01 * trainee.weight.square().sum()}


SETTINGS = {"batch_size": 8, "lr": 0.05, "seed": 1}


def untimed(records) -> list:
    """Without what no two runs have alike."""
    return [record._replace(seconds=0.0) for record in records]


def flat(module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_it_learns_and_tells():
    """Records count steps done, name the loss parts, and hold the learning rate that was used."""
    trainee = toy()
    records = list(fit(toy_step, trainee, steps=60, **SETTINGS, warmup=5, decay="cosine"))
    assert [record.step for record in records] == list(range(1, 61))
    rates = [learning_rate(step, steps=60, peak=0.05, warmup=5, decay="cosine") for step in range(60)]
    assert [record.lr for record in records] == rates
    assert set(records[0].losses) == {"fit", "size"} and all(record.grad_norm > 0 for record in records)
    assert records[-1].losses["fit"] < 0.05 * records[0].losses["fit"]
    assert not trainee.training


def test_the_update_is_adamw_with_clipping():
    """Three steps again by hand: sum of the parts, clipped to norm 1, AdamW."""
    ours, theirs = toy(), toy()
    records = list(fit(toy_step, ours, steps=3, **SETTINGS, weight_decay=0.1, grad_clip=1.0))
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.05, weight_decay=0.1)
    for step in range(3):
        optimizer.zero_grad()
        sum(toy_step(theirs, Draw(1, step, 8)).values()).backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        assert records[step].grad_norm == pytest.approx(norm.item(), rel=1e-6)
        optimizer.step()
    assert records[0].grad_norm > 1  # so the clipping was put to the test
    assert max_error(flat(ours), flat(theirs)) < 1e-7


@pytest.mark.parametrize("k", [1, 3])
def test_a_break_after_record_k_leaves_k_updates_done(k):
    whole, broken = toy(), toy()
    weights = [flat(whole) for _ in fit(toy_step, whole, steps=5, **SETTINGS)]
    for record in fit(toy_step, broken, steps=5, **SETTINGS):
        if record.step == k:
            break
    assert torch.equal(flat(broken), weights[k - 1]) and not torch.equal(flat(broken), weights[k])


def test_the_average_is_diffusers_formula():
    """decay_n = min(decay, n / (9 + n)) at the n-th update after the first, which copies; the trainee ends as the average."""
    trainee, average = toy(), None
    for n, _ in enumerate(fit(toy_step, trainee, steps=12, **SETTINGS, ema_decay=0.4)):
        weights = flat(trainee).double()
        decay = min(0.4, (1 + n) / (10 + n)) if n else 0.0
        average = weights if n == 0 else decay * average + (1 - decay) * weights
    assert max_error(flat(trainee), average) < 1e-6
    assert max_error(flat(trainee), weights) > 1e-3  # and that is not simply the last weights


def test_an_average_of_frozen_parts_leaves_them():
    trainee = toy()
    trainee.bias.requires_grad_(False)
    before = trainee.bias.clone()
    list(fit(toy_step, trainee, steps=3, **SETTINGS, ema_decay=0.5))
    assert torch.equal(trainee.bias, before)


def test_the_batch_must_divide_by_the_ranks(monkeypatch):
    from accelerate import Accelerator

    monkeypatch.setattr(Accelerator, "num_processes", 3)
    with pytest.raises(ValueError, match="multiple"):
        next(fit(toy_step, toy(), steps=1, **SETTINGS))


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulation_changes_the_memory_and_not_the_result(accumulate, small_cache_folder):
    """A student with projections and an average: the same losses and weights, up to the order of additions."""
    results = []
    for parts in (1, accumulate):
        trainee, step = small_distillation(small_cache_folder)
        seen = []

        def counting(trainee, draw, step=step, seen=seen):
            seen.append(len(draw.mine(draw.integers(5))))
            return step(trainee, draw)

        records = list(fit(counting, trainee, steps=3, batch_size=8, lr=1e-4, ema_decay=0.5, accumulate=parts))
        assert seen == [8 // parts] * 3 * parts
        results.append((records, flat(trainee)))
    (whole, weights), (split, again) = results
    for a, b in zip(whole, split, strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-4) and a.grad_norm == pytest.approx(b.grad_norm, rel=1e-3)
    assert max_error(weights, again) < 3 * 2e-4  # Adam moves a weight by at most lr a step, whatever the sign of a zero


def test_mixed_precision_computes_in_16_bits_and_keeps_32(small_cache_folder):
    trainee, step = small_distillation(small_cache_folder)
    seen = set()
    trainee.student.unet.conv_in.register_forward_hook(lambda module, args, out: seen.add(out.dtype))
    records = list(fit(step, trainee, steps=2, batch_size=4, lr=1e-4, mixed_precision="bf16"))
    assert seen == {torch.bfloat16} and {p.dtype for p in trainee.parameters()} == {torch.float32}
    seen.clear()
    step(trainee, Draw(seed=0, step=0, batch_size=4))
    assert seen == {torch.float32}  # that was the training's: afterwards it computes as if loaded from a file
    trainee, step = small_distillation(small_cache_folder)
    exact = list(fit(step, trainee, steps=2, batch_size=4, lr=1e-4))
    assert records[0].losses == pytest.approx(exact[0].losses, rel=0.02)


@torch.no_grad()
@pytest.mark.parametrize("stopped", [False, True])
def test_after_mixed_precision_the_trainee_is_its_own_again(stopped):
    """In 16 bits only inside `fit`, even where it is left early."""
    x, trainee = torch.randn(4, 3), nn.Linear(3, 3)
    with torch.enable_grad():
        step = lambda trainee, draw: {"x": trainee(x).square().mean()}  # noqa: E731
        for _ in fit(step, trainee, steps=2, batch_size=4, mixed_precision="bf16"):
            if stopped:
                break
    assert torch.equal(trainee(x), nn.functional.linear(x, trainee.weight, trainee.bias))


def test_another_optimizer():
    class Still(torch.optim.SGD):
        def __init__(self, parameters, lr, weight_decay):
            super().__init__(parameters, lr=0.0, weight_decay=weight_decay)

        def step(self, closure=None):
            for group in self.param_groups:
                group["lr"] = 0.0
            return super().step(closure)

    trainee = toy()
    before = flat(trainee).clone()
    list(fit(toy_step, trainee, steps=2, **SETTINGS, optimizer_class=Still))
    assert torch.equal(flat(trainee), before)


# --- NaN and Inf ----------------------------------------------------------------------------------


def poison(k: int, kind: str):
    """toy_step, whose part 'x' (or whose gradient, the loss being fine) is broken at step k, counted from 1."""

    def step(trainee, draw):
        x = trainee.bias.sum() * 0
        if draw.step == k - 1:
            x = {
                "nan": lambda: x * float("nan"),
                "inf": lambda: x + float("inf"),
                "gradient inf": lambda: (trainee.bias - trainee.bias.detach()).sqrt().sum(),
                "gradient nan": lambda: (trainee.bias - trainee.bias.detach()).abs().sqrt().sum(),
            }[kind]()
        return toy_step(trainee, draw) | {"x": x}

    return step


@pytest.mark.parametrize("kind, part", [("nan", "x"), ("inf", "x"), ("gradient inf", "gradient"), ("gradient nan", "gradient")])
@pytest.mark.parametrize("k", [1, 4])
def test_a_nan_stops_before_anything_changes(tmp_path, kind, part, k):
    """The message names the step and the part; weights, average and checkpoints are those of the step before."""
    trainee = toy()
    run = fit.__wrapped__(poison(k, kind), trainee, steps=6, **SETTINGS, ema_decay=0.5, folder=tmp_path, checkpoint_every=1)
    weights, average, ema = flat(trainee), None, None
    with pytest.raises(FloatingPointError, match=rf"^step {k}: .*'{part}'"):
        for _ in run:
            ema = run.gi_frame.f_locals["ema"]
            weights, average = flat(trainee), torch.cat([p.flatten() for p in ema.shadow_params]).clone()
    assert torch.equal(flat(trainee), weights)
    if k > 1:
        assert torch.equal(torch.cat([p.flatten() for p in ema.shadow_params]), average)
        assert checkpoints(tmp_path)[-1].name == f"step-{k - 1:08d}.safetensors"
    else:
        assert not checkpoints(tmp_path)


# --- resume ---------------------------------------------------------------------------------------


def test_a_break_and_a_resume_are_bitwise(tmp_path):
    """In one process: break after step 5, go on from the checkpoint of step 4."""
    settings = SETTINGS | {"steps": 9, "ema_decay": 0.9, "decay": "cosine", "checkpoint_every": 2}
    whole, first, second = toy(), toy(), toy(seed=9)  # the resumed one starts from other weights: they must not matter
    expected = list(fit(toy_step, whole, folder=tmp_path / "whole", **settings))
    for record in fit(toy_step, first, folder=tmp_path / "run", **settings):
        if record.step == 5:
            break
    resumed = list(fit(toy_step, second, folder=tmp_path / "run", **settings))
    assert untimed(resumed) == untimed(expected[4:])
    assert torch.equal(flat(second), flat(whole))
    assert_same_checkpoint(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("step", [2, 4])
def test_a_step_is_told_before_its_checkpoint(tmp_path, monkeypatch, step):
    """Stopped right before or after a checkpoint, no step is missing from what a run and its resume tell."""
    told, settings = [], SETTINGS | {"steps": 5, "checkpoint_every": 2, "folder": tmp_path}
    save = training.save_checkpoint

    def stop_here(folder, now, *given):
        save(folder, now, *given)
        if now == step:
            raise OSError("stopped")

    monkeypatch.setattr(training, "save_checkpoint", stop_here)
    with pytest.raises(OSError, match="stopped"):
        list(fit(toy_step, toy(), **settings, watch=told.append))
    monkeypatch.setattr(training, "save_checkpoint", save)
    list(fit(toy_step, toy(), **settings, watch=told.append))
    assert [record.step for record in told] == [1, 2, 3, 4, 5]


def test_a_resume_goes_on_with_the_loss_scale(tmp_path, monkeypatch):
    """As in fp16, which needs a GPU: the scale begins so high that the first steps are skipped; a resume skips none again."""

    def scaled(**settings):
        accelerator = Accelerator()
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=4)
        accelerator.unscale_gradients = lambda: accelerator.scaler.unscale_(accelerator._optimizers[-1].optimizer)
        return accelerator

    monkeypatch.setattr(training, "Accelerator", scaled)
    settings = SETTINGS | {"steps": 20, "mixed_precision": "fp16", "checkpoint_every": 1}
    whole, first, second = toy(), toy(), toy(seed=9)
    expected = list(fit(toy_step, whole, folder=tmp_path / "whole", **settings))
    skipped = [record.step for record in expected if not math.isfinite(record.grad_norm)]
    assert 2 <= len(skipped) < 10 and skipped[0] == 1
    for record in fit(toy_step, first, folder=tmp_path / "run", **settings):
        if record.step == 11:
            break
    resumed = list(fit(toy_step, second, folder=tmp_path / "run", **settings))
    assert resumed[0].step == 12 and repr(untimed(resumed)) == repr(untimed(expected[11:]))
    assert torch.equal(flat(second), flat(whole))


def test_what_is_exported_is_what_a_run_of_that_length_would_leave(tmp_path):
    """The average, at every so many steps and at the last; the training goes on as if nothing had been exported, also from a
    checkpoint; and only so many checkpoints are kept.
    """
    settings = SETTINGS | {"ema_decay": 0.9, "steps": 7}
    plain, found, trainee, again = toy(), {}, toy(), toy(9)
    list(fit(toy_step, plain, **settings))

    def export(step: int) -> None:
        found[step] = flat(trainee)

    how = {"export": export, "export_every": 3, "keep": 1, "checkpoint_every": 2, "folder": tmp_path}
    for record in fit(toy_step, trainee, **settings, **how):
        if record.step == 5:
            break
    assert [int(path.stem[5:]) for path in checkpoints(tmp_path)] == [4] and list(found) == [3]
    trainee = again
    list(fit(toy_step, trainee, **settings, **how))
    assert list(found) == [3, 6, 7] and torch.equal(flat(again), flat(plain)) and torch.equal(found[7], flat(plain))
    for step in (3, 6):
        list(fit(toy_step, shorter := toy(), **settings | {"steps": step}))
        assert torch.equal(found[step], flat(shorter))


def test_a_finished_run_is_not_run_again(tmp_path):
    trainee, again = toy(), toy(seed=9)
    settings = SETTINGS | {"steps": 3, "ema_decay": 0.9, "folder": tmp_path}
    assert len(list(fit(toy_step, trainee, **settings))) == 3
    assert list(fit(toy_step, again, **settings)) == []
    assert torch.equal(flat(again), flat(trainee))


@pytest.mark.parametrize(
    "change", [{"steps": 7}, {"lr": 0.1}, {"batch_size": 4}, {"seed": 2}, {"ema_decay": 0.8}, {"config": {"student": "small"}}]
)
def test_another_config_is_refused(tmp_path, change):
    settings = SETTINGS | {"steps": 4, "decay": "cosine", "ema_decay": 0.9, "config": {"student": "tiny"}, "folder": tmp_path}
    list(fit(toy_step, toy(), **settings))
    key = next(iter(change.get("config", change)))
    with pytest.raises(UsageError, match=f"another run .*{key}"):
        next(fit(toy_step, toy(), **settings | change))


@pytest.mark.parametrize(
    "change", [{"accumulate": 2}, {"mixed_precision": "bf16"}, {"config": {"gradient_checkpointing": True}}]
)
def test_how_samples_are_worked_off_may_change_at_a_stop(tmp_path, change):
    settings = SETTINGS | {"steps": 4, "decay": "cosine", "config": {"gradient_checkpointing": False}, "folder": tmp_path}
    for record in fit(toy_step, toy(), **settings, checkpoint_every=1):
        if record.step == 2:
            break
    assert [record.step for record in fit(toy_step, toy(9), **settings | change)] == [3, 4]


def test_the_average_is_diffusers_to_the_last_bit(monkeypatch):
    """Also while it forgets more than half; and then without a second copy of the weights."""
    weights = [nn.Parameter(torch.randn(n, generator=seeded(n))) for n in (1, 7, 64, 1003, 4099)]
    ours, theirs = (kind(weights, decay=0.97, foreach=True) for kind in (Average, EMAModel))
    for step in range(400):
        for x in weights:
            x.data += 0.01 * torch.randn(x.shape, generator=seeded(step))
        ours.step(weights), theirs.step(weights)
        assert all(map(torch.equal, ours.shadow_params, theirs.shadow_params)), step
    assert ours.state_dict().keys() == theirs.state_dict().keys() and ours.cur_decay_value == 0.97
    monkeypatch.setattr(torch, "_foreach_sub", lambda *_: pytest.fail("a second copy of the weights"))
    ours.step(weights)


def test_an_average_of_nothing_but_the_last_step():
    """ema_decay 0: the weights that the last step left."""
    plain, averaged = toy(), toy()
    list(fit(toy_step, plain, steps=5, **SETTINGS))
    list(fit(toy_step, averaged, steps=5, ema_decay=0.0, **SETTINGS))
    assert torch.equal(flat(plain), flat(averaged))


def test_a_run_with_a_constant_rate_may_grow(tmp_path):
    """To the same bits as if it had been as long from the beginning; it does not shrink."""
    whole, grown = toy(), toy(9)
    settings = SETTINGS | {"ema_decay": 0.9, "warmup": 2}
    expected = list(fit(toy_step, whole, steps=7, **settings))
    list(fit(toy_step, toy(), steps=3, folder=tmp_path, config={"steps": 3}, **settings))
    rest = list(fit(toy_step, grown, steps=7, folder=tmp_path, config={"steps": 7}, **settings))
    assert untimed(rest) == untimed(expected[3:])
    assert torch.equal(flat(grown), flat(whole))
    with pytest.raises(UsageError, match="holds a training of 7 steps already; 5 are fewer: choose another folder"):
        next(fit(toy_step, toy(), steps=5, folder=tmp_path, **settings))


# --- other processes ------------------------------------------------------------------------------


def assert_same_checkpoint(folder: Path, expected: Path):
    """Weights, optimizer, EMA and losses of the newest checkpoints: the same names, the same bits."""
    ours, theirs = (checkpoints(f)[-1] for f in (folder, expected))
    assert ours.name == theirs.name
    (a, header_a), (b, header_b) = load_tensors(ours), load_tensors(theirs)
    assert header_a == header_b and a.keys() == b.keys()
    assert {name.split(".")[0] for name in a} >= {"trainee", "optimizer", "ema", "loss"} or len(a) < 20
    differ = [name for name in a if not torch.equal(a[name], b[name])]
    assert not differ


@pytest.fixture(scope="module")
def uninterrupted(launcher, small_cache_folder, tmp_path_factory):
    """A run of twelve steps that nobody disturbed: (folder, result)."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    result = folder / "result.safetensors"
    assert launcher.run(train, folder / "run", small_cache_folder, result=result) == 0
    return folder / "run", result


def assert_same_result(folder: Path, result: Path, uninterrupted):
    assert_same_checkpoint(folder, uninterrupted[0])
    assert result.read_bytes() == uninterrupted[1].read_bytes()  # the trainee, holding the average


def test_killed_at_random_moments(launcher, small_cache_folder, uninterrupted, tmp_path):
    """SIGKILL some time after each new checkpoint, again and again; the end is the same, bit for bit."""
    folder, result = tmp_path / "run", tmp_path / "result.safetensors"
    moments, killed = random.Random(0), 0
    for _ in range(4):
        before = {path.name for path in checkpoints(folder)}
        process = launcher.start(train, folder, small_cache_folder, result=result)
        wait_until(lambda: {path.name for path in checkpoints(folder)} - before or not process.is_alive(), process)  # noqa: B023
        time.sleep(moments.uniform(0, 0.06))
        process.kill()
        killed += wait(process) != 0
    assert killed > 0
    assert launcher.run(train, folder, small_cache_folder, result=result) == 0
    assert_same_result(folder, result, uninterrupted)


@pytest.mark.parametrize("step", [2, 8])
def test_killed_during_a_save(launcher, small_cache_folder, uninterrupted, tmp_path, step):
    """SIGKILL with half a checkpoint written, the first one or a later one: it is never taken for a checkpoint."""
    folder, result, marker = tmp_path / "run", tmp_path / "result.safetensors", tmp_path / "marker"
    process = launcher.start(train, folder, small_cache_folder, torn_save_at=step, marker=marker)
    wait_until(marker.exists, process)
    process.kill()
    assert wait(process) != 0
    assert [path.stat().st_size > 0 for path in folder.glob(f".step-{step:08d}*.tmp")] == [True]
    assert [int(path.stem[5:]) for path in checkpoints(folder)] == [s for s in (step - 4, step - 2) if s > 0]
    assert launcher.run(train, folder, small_cache_folder, result=result) == 0
    assert_same_result(folder, result, uninterrupted)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to catch")
def test_sigterm_writes_a_checkpoint_and_exits(launcher, small_cache_folder, uninterrupted, tmp_path):
    """Between two checkpoints; the run then goes on from there to the same end."""
    folder, result, marker = tmp_path / "run", tmp_path / "result.safetensors", tmp_path / "marker"
    process = launcher.start(train, folder, small_cache_folder, checkpoint_every=100, hold_at=4, marker=marker)
    wait_until(marker.exists, process)
    assert not checkpoints(folder)
    process.terminate()
    go(marker).touch()
    assert wait(process) == 128 + signal.SIGTERM
    assert [path.name for path in checkpoints(folder)] == ["step-00000005.safetensors"]
    assert "SIGTERM after step 5; run again" in Path(f"{folder}.said").read_text()
    assert launcher.run(train, folder, small_cache_folder, checkpoint_every=100, result=result) == 0
    assert_same_result(folder, result, uninterrupted)


def test_sigterm_handler_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    run = fit(toy_step, toy(), steps=3, **SETTINGS)
    next(run)
    assert signal.getsignal(signal.SIGTERM) is not before
    run.close()
    assert signal.getsignal(signal.SIGTERM) is before


def start_ranks(launcher, folder, cache_folder, **each_rank):
    """Two ranks on loopback; keyword arguments may be functions of the rank."""
    port = free_port()
    settings = [{key: value(rank) if callable(value) else value for key, value in each_rank.items()} for rank in (0, 1)]
    arguments = {"folder": folder, "cache_folder": cache_folder}
    return [launcher.start(one_rank_of, 2, rank, port, **arguments, **settings[rank]) for rank in (0, 1)]


def test_two_ranks_and_one_give_the_same(launcher, small_cache_folder, uninterrupted, tmp_path):
    """The same losses at every step and the same weights at the end, up to the order of additions."""
    folder = tmp_path / "run"
    ranks = start_ranks(launcher, folder, small_cache_folder, result=lambda rank: tmp_path / f"{rank}.safetensors")
    assert [wait(process) for process in ranks] == [0, 0]
    one = json.loads(uninterrupted[1].with_suffix(".json").read_text())
    for rank in (0, 1):
        two = json.loads((tmp_path / f"{rank}.json").read_text())
        assert len(two) == len(one) == 12
        for a, b in zip(two, one, strict=True):
            assert a["losses"] == pytest.approx(b["losses"], rel=1e-4) and a["step"] == b["step"]
            assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-3)
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    # weights as what they compute: where a norm follows, a bias has a gradient of rounding errors, which Adam magnifies
    computed = []
    for result in (uninterrupted[1], tmp_path / "0.safetensors"):
        trainee, _ = small_distillation(small_cache_folder)
        trainee.load_state_dict(load_tensors(result)[0])
        with torch.no_grad():
            out, features = trainee.eval()(torch.ones(2, 4, 14, 14), torch.tensor([100, 900]), torch.tensor([3, 8]))
        computed.append([out, *features])
    assert all(max_error(a, b) < 1e-4 for a, b in zip(*computed, strict=True))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to catch")
def test_sigterm_to_one_rank_stops_all_at_the_same_step(launcher, small_cache_folder, tmp_path):
    """A scheduler may signal the ranks at different moments, or only one of them; nobody may wait for ever."""
    folder = tmp_path / "run"
    markers = [tmp_path / f"marker {rank}" for rank in (0, 1)]
    ranks = start_ranks(launcher, folder, small_cache_folder, checkpoint_every=100, hold_at=3, marker=markers.__getitem__)
    for process, marker in zip(ranks, markers, strict=True):
        wait_until(marker.exists, process)
    ranks[1].terminate()
    for marker in markers:
        go(marker).touch()
    assert [wait(process) for process in ranks] == [128 + signal.SIGTERM] * 2
    assert [path.name for path in checkpoints(folder)] == ["step-00000004.safetensors"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("chosen, device", [({}, "cpu"), ({"ACCELERATE_USE_CPU": "false"}, "mps")])
def test_without_a_gpu_it_computes_on_the_cpu_though_there_be_another_accelerator(launcher, chosen, device, tmp_path):
    """On Apple silicon, which accelerate would take, and which has no 64-bit numbers; in a process that has no state yet."""
    assert launcher.run(where_apple_silicon_computes, tmp_path / "said", chosen) == 0
    assert (tmp_path / "said").read_text() == f"{device} {device}"
