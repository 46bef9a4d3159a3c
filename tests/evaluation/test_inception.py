"""Scores of sets of pictures in one pass: FID against real pictures and from statistics, inception and CLIP score; toys."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from processes import ToyInception, toy_networks
from safetensors.torch import save_file
from small import seeded
from torch.utils.flop_counter import FlopCounterMode
from torchmetrics.image.fid import FrechetInceptionDistance

from rcedu.commands.cli import main
from rcedu.data.pictures import fitted
from rcedu.evaluation import inception
from rcedu.evaluation.inception import RealPictures, inception_networks, published_scores, scoring_work
from rcedu.evaluation.scores import clip_scores
from rcedu.system.files import read_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError

CLIP = str(data_folder() / "mini-sd" / "clip")


@pytest.fixture(autouse=True)
def a_toy(monkeypatch, tmp_path):
    monkeypatch.setattr(inception, "inception_networks", toy_networks)
    monkeypatch.setenv("RCEDU_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("real"), seeded(0)
    for i in range(7):
        Image.fromarray(torch.randint(0, 256, (8, 8, 3), generator=generator, dtype=torch.uint8).numpy()).save(
            folder / f"{i}.png"
        )
    return folder


@pytest.fixture(scope="module")
def drawn():
    return torch.randint(0, 256, (9, 3, 8, 8), generator=seeded(1), dtype=torch.uint8)


def scored(drawn, real, **how) -> dict:
    return published_scores(drawn, [""] * len(drawn), {"all": range(len(drawn))}, real={"all": real}, **how)["all"]


def test_fid_is_torchmetrics_and_comes_again_from_what_is_kept(real, drawn, monkeypatch):
    fid, pictures = FrechetInceptionDistance(feature=ToyInception()), RealPictures(real, 8)
    fid.update(torch.stack([pictures[i] for i in range(7)]), real=True)
    fid.update(drawn, real=False)
    found = scored(drawn, real, batch_size=2)
    assert found["fid"] == pytest.approx(fid.compute().item(), rel=1e-4) and found["pictures"] == 9
    monkeypatch.setattr(RealPictures, "__getitem__", lambda *_: pytest.fail("the real pictures were read again"))
    assert scored(drawn, real, batch_size=4) == pytest.approx(found, rel=1e-4)


def test_inception_score_as_torch_fidelity_defines_it(real):
    """Ten parts after a shuffle with its seed; of each exp E KL(p(y | x) || p(y)); also where the pictures come in batches."""
    drawn = torch.randint(0, 256, (43, 3, 8, 8), generator=seeded(2), dtype=torch.uint8)
    drawn[::2, 0] = drawn[::2, 0] // 9  # less red: logits that differ
    p = ToyInception()(drawn).double()[np.random.RandomState(2020).permutation(43)].softmax(dim=1)
    parts = [p[k * 43 // 10 : (k + 1) * 43 // 10] for k in range(10)]
    expected = [(part * (part / part.mean(dim=0)).log()).sum(dim=1).mean().exp().item() for part in parts]
    assert scored(drawn, real, batch_size=5)["is"] == pytest.approx(sum(expected) / 10, rel=1e-6) and max(expected) > 1.001


def test_a_set_scored_beside_others_has_the_scores_that_it_has_alone(real, drawn, tmp_path):
    """Each compared with its own real pictures, and asked for its own sentences."""
    np.savez(tmp_path / "other.npz", mu=np.zeros(4), sigma=np.eye(4))
    texts = ["a white one on a navy background", "an upright cyan two"] * 4 + ["a pink six"]
    rows = {"all": range(9), "seen": [0, 3, 4, 8], "unseen": [1, 2]}
    real_of = {"all": real, "seen": tmp_path / "other.npz", "unseen": real}
    together = published_scores(drawn, texts, rows, real=real_of, clip=CLIP, batch_size=4)
    assert list(together) == list(rows) and together["seen"]["fid"] != pytest.approx(together["all"]["fid"], rel=1e-2)
    for name, of in rows.items():
        alone = (drawn[list(of)], [texts[i] for i in of], {name: range(len(of))})
        assert published_scores(*alone, real=real_of, clip=CLIP) == {name: pytest.approx(together[name], rel=1e-4)}


def test_fid_from_statistics_as_pytorch_fid_writes_them(real, drawn, tmp_path):
    pictures = RealPictures(real, 8)
    features = ToyInception()(torch.stack([pictures[i] for i in range(7)])).double().numpy()
    np.savez(tmp_path / "real.npz", mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))
    assert scored(drawn, tmp_path / "real.npz") == pytest.approx(scored(drawn, real), rel=1e-4)


@pytest.mark.parametrize(
    "arrays", [{}, {"mu": np.zeros(3), "sigma": np.eye(3)}, {"mu": np.full(4, np.nan), "sigma": np.eye(4)}, {"mu": np.zeros(4)}]
)
def test_statistics_of_something_else_are_refused(arrays, drawn, tmp_path):
    np.savez(tmp_path / "real.npz", **arrays)
    with pytest.raises(UsageError, match="does not hold pytorch-fid's statistics") as refused:
        scored(drawn, tmp_path / "real.npz")
    assert "\n" not in str(refused.value)


def test_real_pictures_that_there_are_not(tmp_path):
    with pytest.raises(UsageError, match="unknown fit 'stretch'; choose from crop, squash"):
        RealPictures(tmp_path, 4, "stretch")
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"a\.png is damaged \(.*\); repair it, or take it out"):
        RealPictures(tmp_path, 4)[0]


def test_without_torch_fidelity_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(UsageError, match=r"needs torch-fidelity: pip install -e \"\.\[score\]\"") as refused:
        inception_networks()
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A folder of prompts, seen.txt and unseen.txt, and in `drawn` what mini-SD draws of them in a step."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "seen.txt").write_text("a white one on a navy background\nan upright cyan two on a gray background\n")
    unseen = [f"a {ink} three on a navy background" for ink in ("pink", "cyan", "white")]
    (folder / "unseen.txt").write_text("\n".join(unseen))
    main(f"generate --prompts {folder} --steps 1 --out {folder / 'drawn'}".split())
    return folder


def test_a_clip_alone_scores(asked, tmp_path):
    main(f"score --images {asked / 'drawn'} --clip {CLIP} --out {tmp_path / 'scores.json'}".split())
    scores = read_json(tmp_path / "scores.json")
    assert set(scores) == {"clip", "pictures", "provenance"} and scores["pictures"] == 5


def test_a_plan_counts_what_scoring_does(drawn, real, monkeypatch):
    """Every product and sum of the networks that pictures are shown to, and real ones to one of them, where they are read."""
    texts, toy = ["a white one on a navy background"] * 9, torch.nn.Sequential(ToyInception(), torch.nn.Linear(4, 4))
    monkeypatch.setattr(inception, "inception_networks", lambda: (toy, toy))
    (by_clip,) = scoring_work(drawn, texts, times=2, clip=CLIP, batch_size=3)
    with FlopCounterMode(display=False) as counter:
        published_scores(drawn, texts, {"all": range(9)}, clip=CLIP, batch_size=3)
    assert by_clip.times == 2 * 9 and 9 * by_clip.operations == counter.get_total_flops()
    first, every = scoring_work(drawn, texts, real=[real, real], clip=CLIP, batch_size=3)
    assert (first.times, first.operations) == (7, 2 * 4 * 4)
    assert (every.times, every.operations) == (9, by_clip.operations + 2 * (2 * 4 * 4))
    assert [work.times for work in scoring_work(drawn, texts, real=[Path("real.npz")])] == [9]


@pytest.mark.parametrize("how", [f"--clip {CLIP}", ""])
def test_a_row_for_each_group_and_one_for_all(how, asked, tmp_path, capsys, monkeypatch):
    """By a CLIP, and by mini-SD's judge."""
    monkeypatch.undo()  # the judge's features of 10,000 pictures are remembered where other tests have put them
    out = tmp_path / "scores.json"
    main(f"score --images {asked / 'drawn'} {how} --plan --out {out}".split())
    assert ("5 pictures scored, of" if how else "1 scores by the judge, of") in capsys.readouterr().out and not out.exists()
    main(f"score --images {asked / 'drawn'} {how} --groups {asked / 'seen.txt'} {asked / 'unseen.txt'} --out {out}".split())
    scores = read_json(out)
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert list(scores["groups"]) == ["seen", "unseen"] and lines == ["all", "seen", "unseen"]
    if how:
        assert [row["pictures"] for row in (scores, *scores["groups"].values())] == [5, 2, 3]
        mean = (2 * scores["groups"]["seen"]["clip"] + 3 * scores["groups"]["unseen"]["clip"]) / 5
        assert scores["clip"] == pytest.approx(mean, rel=1e-6)
    else:
        read = [row["digit"] for row in (scores, *scores["groups"].values())]
        assert read[0] == [read[1][0] + read[2][0], 5]


def test_as_the_reference_scores(asked, real, tmp_path, monkeypatch):
    """Real pictures squashed, and the CLIP of its figures, in whose place a small one stands."""
    said, at = [], {"fit": None}
    monkeypatch.setattr(inception, "clip_scores", lambda name, device: said.append(name) or clip_scores(CLIP, device))
    monkeypatch.setattr(inception, "fitted", lambda image, size, fit: at.update(fit=fit) or fitted(image, size, fit))
    main(f"score --images {asked / 'drawn'} --real {real} --reference --out {tmp_path / 'scores.json'}".split())
    assert said == ["open_clip:ViT-g-14/laion2b_s34b_b88k"] and at["fit"] == "squash"


@pytest.mark.parametrize(
    "more, says",
    [
        ("--groups {asked}/seen.txt {asked}/seen.txt", "two rows of scores would be called seen"),
        ("--groups {tmp}/one.txt", "1 pictures are of sentences in"),
        ("--real a b", "--real takes one, or one and then one for each of the 0 groups; got 2"),
        ("--clip open_clip:ViT-g-14", "needs open_clip: pip install -e"),
        ("--reference", "open_clip:ViT-g-14/laion2b_s34b_b88k needs open_clip: pip install -e"),
        ("--reference --fit squash", "--reference sets --fit and --clip; leave those out"),
        ("--clip {tmp}/no-clip", "no CLIP could be read from"),
    ],
)
def test_what_cannot_be_scored_apart_is_said_in_a_line(more, says, asked, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)  # as if it were not installed
    (tmp_path / "one.txt").write_text("a cyan three on a navy background\na blue four\n")
    with pytest.raises(SystemExit) as stop:
        main(f"score --images {asked / 'drawn'} --out {tmp_path}/a.json {more}".format(asked=asked, tmp=tmp_path).split())
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rcedu:")]
    assert stop.value.code == 2 and len(error) == 1 and says in error[0] and not (tmp_path / "a.json").exists()


def test_a_network_of_open_clip(drawn, tmp_path):
    """One of its own anatomy, small, from a folder: the cosine of what its two towers give; and weights that are not there."""
    open_clip = pytest.importorskip("open_clip", reason='needs the extra for scores (pip install -e ".[score]")')
    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    torch.manual_seed(0)
    network = open_clip.CLIP(8, vision, text).eval()
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {"size": 32}})
    )
    save_file(network.state_dict(), tmp_path / "open_clip_model.safetensors")
    texts = ["a white one", "a pink six"]
    found = clip_scores(f"open_clip:{tmp_path}")(drawn[:2], texts)
    _, prepare = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path}")
    pictures = torch.stack([prepare(Image.fromarray(x.permute(1, 2, 0).numpy())) for x in drawn[:2]])
    with torch.no_grad():
        a, b = network.encode_image(pictures), network.encode_text(open_clip.get_tokenizer("ViT-B-32")(texts, 16))
    assert found == pytest.approx((100 * (a * b).sum(dim=1) / a.norm(dim=1) / b.norm(dim=1)).clamp(min=0), abs=1e-4)
    for name, says in (("ViT-g-14", "names no weights"), ("ViT-g-14/laion2b_s34b_b88k", "no CLIP could be read from")):
        with pytest.raises(UsageError, match=says):
            clip_scores(f"open_clip:{name}")
