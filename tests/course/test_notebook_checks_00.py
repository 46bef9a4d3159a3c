"""What notebook 00's check says of wrong answers. (The solution is filled in by nbmake's second run.)"""

import pytest

from rcedu.course.checks import notebook_00


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda p, asked: ..., "returns nothing"),
        (lambda p, asked: p.argmax(dim=1) == asked, "one value a picture"),
        (lambda p, asked: (p.argmax(dim=1) == asked).sum(), "how many"),
        (lambda p, asked: p.gather(1, asked[:, None]).mean(), "how probable"),
        (lambda p, asked: 0.25, "off by up to 0.35"),
    ],
)
def test_wrong_answers(answer, says, capsys):
    notebook_00.read_as_asked(answer)
    assert (said := capsys.readouterr().out).startswith("Not yet: ") and says in said


def test_a_number_or_a_tensor(capsys):
    notebook_00.read_as_asked(lambda p, asked: (p.argmax(dim=1) == asked).float().mean())
    notebook_00.read_as_asked(lambda p, asked: float((p.argmax(dim=1) == asked).float().mean()))
    assert capsys.readouterr().out == "read_as_asked: right\n" * 2
