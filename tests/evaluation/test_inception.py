"""FID against real pictures and from statistics, a batch in memory, on one rank and on two; a toy in Inception's place."""

import numpy as np
import pytest
import torch
from PIL import Image
from processes import free_port, one_rank_of, score_with_the_toy, toy_metrics, wait
from small import seeded

from rcedu.commands.cli import main
from rcedu.evaluation import inception
from rcedu.evaluation.inception import RealPictures, inception_metrics, scores_by_inception
from rcedu.system.files import read_json
from rcedu.system.settings import data_folder
from rcedu.system.usage import UsageError


@pytest.fixture(autouse=True)
def a_toy(monkeypatch, tmp_path):
    monkeypatch.setattr(inception, "inception_metrics", toy_metrics)
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


def by_hand(real, drawn) -> float:
    """Dowson & Landau 1982: |mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))."""
    fid, _ = toy_metrics()
    pictures = RealPictures(real, 8)
    of = [fid.inception(x).double() for x in (torch.stack([pictures[i] for i in range(len(pictures))]), drawn)]
    (mu_1, S_1), (mu_2, S_2) = ((x.mean(dim=0), x.T.cov()) for x in of)
    return float((mu_1 - mu_2).square().sum() + (S_1 + S_2).trace() - 2 * torch.linalg.eigvals(S_1 @ S_2).real.sqrt().sum())


def test_fid_by_hand_and_again_from_what_is_kept(real, drawn, monkeypatch):
    found = scores_by_inception(drawn, real, batch_size=2)
    assert found["fid"] == pytest.approx(by_hand(real, drawn), rel=1e-4) and found["pictures"] == 9
    monkeypatch.setattr(RealPictures, "__getitem__", lambda *_: pytest.fail("the real pictures were read again"))
    assert scores_by_inception(drawn, real, batch_size=4) == pytest.approx(found, rel=1e-4)


def test_fid_from_statistics_as_pytorch_fid_writes_them(real, drawn, tmp_path):
    fid, _ = toy_metrics()
    pictures = RealPictures(real, 8)
    features = fid.inception(torch.stack([pictures[i] for i in range(7)])).double().numpy()
    np.savez(tmp_path / "real.npz", mu=features.mean(axis=0), sigma=np.cov(features, rowvar=False))
    found = scores_by_inception(drawn, tmp_path / "real.npz")
    assert found["fid"] == pytest.approx(by_hand(real, drawn), rel=1e-4)


@pytest.mark.parametrize(
    "arrays", [{}, {"mu": np.zeros(3), "sigma": np.eye(3)}, {"mu": np.full(4, np.nan), "sigma": np.eye(4)}, {"mu": np.zeros(4)}]
)
def test_statistics_of_something_else_are_refused(arrays, drawn, tmp_path):
    np.savez(tmp_path / "real.npz", **arrays)
    with pytest.raises(UsageError, match="does not hold pytorch-fid's statistics") as refused:
        scores_by_inception(drawn, tmp_path / "real.npz")
    assert "\n" not in str(refused.value)


def test_two_ranks_score_as_one(real, drawn, tmp_path, launcher):
    one, port = scores_by_inception(drawn, real), free_port()
    for process in [
        launcher.start(one_rank_of, 2, rank, port, drawn, real, tmp_path / f"{rank}.json", do=score_with_the_toy)
        for rank in (0, 1)
    ]:
        assert wait(process) == 0
    assert read_json(tmp_path / "0.json") == pytest.approx(one, rel=1e-4)


def test_real_pictures_that_there_are_not(tmp_path):
    with pytest.raises(UsageError, match="unknown fit 'stretch'; choose from crop, squash"):
        RealPictures(tmp_path, 4, "stretch")
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UsageError, match=r"a\.png is damaged \(.*\); repair it, or take it out"):
        RealPictures(tmp_path, 4)[0]


def test_without_torch_fidelity_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(UsageError, match=r"needs torch-fidelity: pip install -e \"\.\[score\]\"") as refused:
        inception_metrics()
    assert "\n" not in str(refused.value)


def test_a_clip_alone_scores(tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("a white one on a navy background\nan upright cyan two on a gray background\n")
    images = tmp_path / "images"
    main(f"generate --prompts {tmp_path / 'prompts.txt'} --steps 1 --out {images}".split())
    main(f"score --images {images} --clip {data_folder() / 'mini-sd' / 'clip'}".split())
    scores = read_json(images / "scores.json")
    assert set(scores) == {"clip", "pictures", "provenance"} and scores["pictures"] == 2
