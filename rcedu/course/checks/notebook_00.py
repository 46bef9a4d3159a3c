"""Checks for notebook 00's cell: the first one to fill in."""

import torch

from rcedu.course.checks import exercise, fail_if, same


@exercise
def read_as_asked(answer) -> None:
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.7, 0.1, 0.2], [0.0, 0.1, 0.9]])
    asked = torch.tensor([0, 1, 2, 1, 2])
    right = probabilities.argmax(dim=1) == asked  # three of five
    got = answer(probabilities, asked)
    if isinstance(got, torch.Tensor) and got.shape == asked.shape:
        fail_if(True, "one value a picture is returned; a share is one number")
    same("the share", torch.as_tensor(got, dtype=torch.float64), right.double().mean(), mistakes=[
        (right.sum().double(), "that is how many were read as asked; divide by the number of pictures"),
        (1 - right.double().mean(), "that is the share of those read as something else"),
        (probabilities.gather(1, asked[:, None]).double().mean(), "that is how probable the asked digit is in the mean; "
         "count the pictures in which it is the most probable one"),
    ])  # fmt: skip
