"""The explorers: every control is set, and the picture must become the right one."""

import base64
import io
import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image

from rcedu.equations.random_conditioning import randomize
from rcedu.evaluation.records import Results, frame, load_results, over_seeds, scored
from rcedu.experiments.conditioning import DenoisingFrames
from rcedu.experiments.digits import Shipped
from rcedu.experiments.edit_frames import EditFrames, edit_frames, load_frames, save_frames
from rcedu.experiments.edits import StrokeEdits
from rcedu.experiments.few_step_frames import FewStepFrames
from rcedu.experiments.swap_frames import Outcome, example_batch, outcomes, view_schedule
from rcedu.figures.explorers import DenoisingExplorer, EditExplorer, FewStepsExplorer, ScheduleLaboratory, SmallAndFastExplorer
from rcedu.figures.panels import DenoisingPanel, SchedulePanel, animation, mixture_frame
from rcedu.models.editing import image_to_image
from rcedu.system.settings import data_folder
from rcedu.training.swap_schedules import FAMILIES, schedule

TRAINED = [
    Outcome("exponential", 5.0, (0.907, 0.868, 0.935), (0.963, 0.94, 0.98), (14.2, 13.0, 15.4)),
    Outcome("constant", 1.0, (0.8, 0.7, 0.9), (0.9, 0.85, 0.95), (20.0, 18.0, 22.0)),
]


@pytest.fixture(scope="module")
def batch():
    shipped = Shipped()
    return example_batch(shipped.teacher, shipped.cache)


@pytest.fixture(scope="module")
def frames():
    """Frames whose pictures say which setting they belong to: their brightness counts the settings."""
    times, S = [100, 500, 900], 2
    drawn = torch.arange(len(times) * S * 10).view(len(times), S, 10, 1, 1, 1).expand(-1, -1, -1, 1, 28, 28) * 4
    probabilities = torch.rand(len(times), S, 10, 10, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    source = torch.full((S, 1, 28, 28), 99, dtype=torch.uint8)
    x_t = torch.full((len(times), S, 1, 28, 28), 50, dtype=torch.uint8)
    return DenoisingFrames(times, torch.tensor([7, 2]), source, x_t, drawn.to(torch.uint8), probabilities)


def pixels(widget) -> np.ndarray:
    """The picture inside an HTML widget, (H, W, 3)."""
    data = re.search(r'src="data:image/png;base64,([^"]+)"', widget.value)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def alt(widget) -> str:
    return re.search(r'alt="([^"]+)"', widget.value)[1]


def expected(batch, family, parameter) -> np.ndarray:
    """A panel drawn from nothing for this one setting."""
    panel = SchedulePanel(batch)
    panel.update(view_schedule(family, parameter, batch, TRAINED))
    return np.asarray(Image.open(io.BytesIO(panel.png())))


@pytest.mark.parametrize("family", FAMILIES)
def test_laboratory_shows_the_family_that_was_chosen(batch, family):
    laboratory = ScheduleLaboratory(batch, TRAINED)
    other = "quadratic" if family == "exponential" else "exponential"
    laboratory.family.value = other
    before = pixels(laboratory.picture)
    laboratory.family.value = family
    knob = FAMILIES[family].parameter
    after = pixels(laboratory.picture)
    assert not np.array_equal(before, after)
    assert np.array_equal(after, expected(batch, family, knob.default if knob else None))
    assert laboratory.sentence.value.startswith(family) and alt(laboratory.picture) == laboratory.sentence.value
    assert laboratory.parameter.layout.visibility == ("visible" if knob else "hidden")


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.parameter])
def test_laboratory_shows_the_parameter_that_was_set(batch, family):
    laboratory = ScheduleLaboratory(batch, TRAINED)
    laboratory.family.value = family
    knob = FAMILIES[family].parameter
    assert (laboratory.parameter.min, laboratory.parameter.max) == (knob.low, knob.high)
    assert laboratory.parameter.description == knob.symbol
    for value in (knob.low, knob.high):
        laboratory.parameter.value = value
        assert np.array_equal(pixels(laboratory.picture), expected(batch, family, value))
        mean = schedule(family, value, T=batch.T)(torch.arange(batch.T)).mean()
        assert f"mean p = {mean:.3f}" in laboratory.sentence.value


def test_ranges_follow_from_any_family_to_any_other(batch):
    """A slider whose minimum exceeds its maximum on the way would raise; the redraws are counted, one a change."""
    laboratory = ScheduleLaboratory(batch, TRAINED)
    drawn = []
    laboratory.picture.observe(lambda change: drawn.append(change), "value")
    families = [*FAMILIES, *reversed(FAMILIES)]
    for family in families:
        laboratory.family.value = family
    changes = sum(a != b for a, b in zip(["exponential", *families], families, strict=False))
    assert len(drawn) == changes


def test_the_swaps_are_those_of_randomize(batch):
    view = view_schedule("sigmoid", 0.5, batch, TRAINED, seed=3)
    p = schedule("sigmoid", 0.5, T=batch.T)
    c_hat, replaced = randomize(batch.c, batch.t, batch.pool, p, torch.Generator().manual_seed(3))
    assert torch.equal(view.c_hat, c_hat) and torch.equal(view.replaced, replaced)
    assert f"{int(replaced.sum())} of 12 conditions swapped" in view.sentence()


def test_nearest_is_the_nearest_curve(batch):
    near = view_schedule("exponential", 5.5, batch, TRAINED)
    assert near.nearest == TRAINED[0] and 0 < near.distance < 0.05
    exact = view_schedule("constant", 1.0, batch, TRAINED)
    assert exact.nearest == TRAINED[1] and exact.distance == 0
    far = view_schedule("constant", 0.9, batch, TRAINED)
    assert far.nearest == TRAINED[1] and far.distance == pytest.approx(0.1)


def test_outcomes_are_the_table_that_ships():
    table = load_results(data_folder() / "digits" / "results" / "unseen-schedules.json")
    found = outcomes(table)
    assert len(found) == table.records["row"].nunique() - 1  # all but "none"
    assert {outcome.family for outcome in found} == set(FAMILIES)
    default = next(o for o in found if (o.family, o.parameter) == ("exponential", 5.0))
    where = {"row": "exponential, λ = 5", "task": "unseen", "score": "as asked"}
    assert default.unseen == over_seeds(table.records, **where) and default.unseen.value > 0.8


def test_explorer_shows_the_frame_that_was_chosen(frames):
    explorer = DenoisingExplorer(frames)
    seen = set()
    for time in range(3):
        for source in range(2):
            for asked in (0, 4, 9):
                explorer.time.index, explorer.source.value, explorer.asked.value = time, source, asked
                panel = DenoisingPanel(frames)
                panel.update(time, source, asked)
                shown = pixels(explorer.picture)
                assert np.array_equal(shown, np.asarray(Image.open(io.BytesIO(panel.png()))))
                seen.add(shown.tobytes())
                c = int(frames.c[source])
                assert (
                    f"{'An' if c == 8 else 'A'} {c}, noised to t = {frames.times[time]} and denoised as a {asked}"
                    in explorer.sentence.value
                )
                assert alt(explorer.picture) == explorer.sentence.value
    assert len(seen) == 18


def test_few_steps_explorer_shows_every_frame():
    """Brightness counts the settings: the teacher's row is that of its w, the student's that of its w and N."""
    W, S, B = 2, 3, 10
    drawn = torch.arange(W * S, dtype=torch.uint8).view(W, S, 1, 1, 1, 1).expand(-1, -1, B, 1, 28, 28) * 10
    above = torch.tensor([200, 210], dtype=torch.uint8).view(W, 1, 1, 1, 1).expand(-1, B, 1, 28, 28)
    read = torch.arange(B).repeat(W, S, 1)
    read[1, 2, :4] = 0  # 0 is one of the four that are read as asked
    explorer = FewStepsExplorer(FewStepFrames([0.0, 2.0], [8, 4, 1], torch.arange(B), above, drawn, read))
    for i in range(W):
        for j in range(S):
            explorer.w.index, explorer.steps.index = i, j
            shown = pixels(explorer.picture)
            assert shown.shape == (3 * (2 * 30 + 2), 3 * (B * 30 + 2), 3)
            assert set(shown[45].flatten()) == {96, 200 + 10 * i} and set(shown[135].flatten()) == {96, 10 * (S * i + j)}
            assert alt(explorer.picture) == explorer.sentence.value
    assert explorer.sentence.value == ("w = 2, N = 1: 1 evaluation a digit (above, the teacher: 16); 7 of 10 are read as asked")


def test_the_edit_explorer_shows_the_frame_that_its_controls_say():
    """Brightness counts the settings; and frames that are drawn are image_to_image's own."""
    S, C, K, N = 2, 3, 2, 2
    drawn = torch.arange(S * C * K * N).view(S, C, K, N, 1, 1, 1).expand(-1, -1, -1, -1, 1, 28, 28).to(torch.uint8) * 8
    read = torch.full((S, C, K, N), 4)
    source = torch.full((S, 1, 28, 28), 250, dtype=torch.uint8)
    names = ["0", "1", "2", "3", "4"]
    explorer = EditExplorer(EditFrames(source, ["7", "2"], names[:3], [0.25, 1.0], [2, 8], drawn, read, names))
    for place in itertools.product(range(S), range(C), range(K), range(N)):
        explorer.source.index, explorer.label.index, explorer.strength.index, explorer.steps.index = place
        assert set(pixels(explorer.picture)[75].flatten()) == {96, 250, int(drawn[place].flatten()[0])}
        assert alt(explorer.picture) == explorer.sentence.value
    assert explorer.sentence.value == "a 2, asked for a 2: the last 8 of 8 steps, 8 evaluations; read as a 4"
    explorer.strength.index = explorer.steps.index = 0
    assert explorer.sentence.value == "a 2, asked for a 2: the last 1 of 2 steps, 1 evaluation; read as a 4"


def test_small_and_fast_explorer_shows_what_was_chosen():
    """Every choice has its own brightness; a way without the steps that were chosen shows the nearest it has."""
    ways = {
        "teacher": ("32", "4"),
        "stage 1": ("32", "4", "1"),
        "tiny, deterministic": ("4", "1"),
        "deterministic, tiny": ("1",),
    }
    insides = ("none inside", "inside")
    scores = {("unseen", "as asked"): [1, 2], ("seen", "as asked"): [2, 2], "fid": 9.0}
    places = [(inside, way, steps) for inside in insides for way, of in ways.items() for steps in of]
    counts = {"4": 6}  # of four steps there are more
    pictures = {
        ", ".join(place): torch.full((counts.get(place[2], 3), 1, 28, 28), 100 + i, dtype=torch.uint8)
        for i, place in enumerate(places)
    }
    grid = ("32", "4", "1")
    large = {N: {"evaluations": 2 * int(N), "gmacs": 0.04 * int(N), "parameters": 1000} for N in grid}
    small = {N: {"evaluations": int(N), "gmacs": 0.01 * int(N), "parameters": 200} for N in grid}
    at = [{"row": inside, "network": way, "steps": int(N)} for inside, way, N in places]
    records = frame(record for place in at for record in scored(scores, seed=0, w=1.0, **place))
    costs = {"teacher": large, "small": large, "takes w": small, "small, takes w": small}
    explorer = SmallAndFastExplorer(Results(records, {}, [], {"student": "tiny", "costs": costs}), pictures)
    assert explorer.way.value == "tiny, deterministic" and explorer.steps.options == (4, 1)
    for inside, way, steps in places:
        if way != "teacher":
            explorer.inside.value, explorer.way.value = inside, way
            explorer.steps.value = int(steps)
            teacher = int(pictures[f"{inside}, teacher, 32"][0, 0, 0, 0])
            mine = int(pictures[f"{inside}, {way}, {steps}"][0, 0, 0, 0])
            assert set(pixels(explorer.picture)[:, 75].flatten()) == {96, teacher, mine}
            assert len(pixels(explorer.picture)) == 3 * (2 + 2 * 30)
            assert alt(explorer.picture) == explorer.sentence.value
    for before, after in ((1, 1), (32, 4)):
        explorer.way.value = "stage 1"
        explorer.steps.value = before
        explorer.way.value = "tiny, deterministic"
        assert explorer.steps.value == after
    assert explorer.sentence.value == (
        "first smaller, then faster, N = 4, inside: 4 evaluations of 200 parameters, 0.04 GMACs a picture; "
        "unseen as asked 50%, seen 100%; FID 9.0"
    )


def test_edit_frames_are_edits_and_come_back_from_their_file(tmp_path):
    domain = StrokeEdits()
    images, old = domain.real(2), domain.attributes(2)
    asked = domain.attributes(20)[[3, 13]]
    frames = edit_frames(domain, {2: domain.teacher, 4: domain.teacher}, images, old, asked, [0.3, 1.0])
    assert frames.drawn.shape == (2, 2, 2, 2, 1, 28, 28) and frames.read.shape == (2, 2, 2, 2)
    assert frames.shows == ["thin 0", "thin 1"] and frames.labels == ["thin 3", "thick 3"]
    sources, c = images.repeat_interleave(2, dim=0), torch.tensor([3, 13, 3, 13])
    again = image_to_image(domain.teacher, sources, c, w=domain.w, steps=4, strength=0.25)
    assert torch.equal(frames.drawn[:, :, 0, 1].flatten(0, 1), again)
    read = domain.read(frames.drawn[1, 1, 1])
    assert [frames.names[i] for i in frames.read[1, 1, 1]] == domain.names(read)
    save_frames(tmp_path / "frames.safetensors.gz", frames, {"command": "a test"})
    stored = load_frames(tmp_path / "frames.safetensors.gz")
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(frames, stored, strict=True))


def test_panel_on_paper_is_the_widgets_picture(batch):
    """savefig draws the moving parts too: the figure of a panel and its quick PNG are the same picture."""
    panel = SchedulePanel(batch)
    panel.update(view_schedule("two-sided", 5.0, batch, TRAINED))
    quick = np.asarray(Image.open(io.BytesIO(panel.png()))).astype(int)
    buffer = io.BytesIO()
    panel.figure.savefig(buffer, dpi=80)
    saved = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")).astype(int)
    assert quick.shape == saved.shape
    assert (np.abs(quick - saved).max(axis=2) > 40).mean() < 0.01  # but for what is drawn over what


def test_animation_has_every_frame():
    grid = torch.linspace(-1, 1, 20)
    bump = torch.exp(-(grid[:, None] ** 2 + grid**2))
    frames = [mixture_frame(grid, grid, (bump, bump.roll(i, 0)), ("a", "b"), f"t = {i}") for i in range(3)]
    movie = Image.open(io.BytesIO(animation(frames)))
    assert movie.format == "PNG" and movie.n_frames == 3
