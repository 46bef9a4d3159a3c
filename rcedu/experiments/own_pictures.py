"""Real pictures as the data that a student learns from: encoded once by the teacher's autoencoder, and kept."""

import hashlib
import json
from pathlib import Path

import torch
from accelerate.utils import gather_object

from rcedu.data.cache import Samples
from rcedu.data.captioned_pictures import read_captions, squares
from rcedu.data.mnist import to_pixels
from rcedu.models.diffusion import DiffusionModel
from rcedu.system.manifests import checksum
from rcedu.system.ranks import place_among_ranks
from rcedu.system.tensors import hash_tensors, load_tensors, save_tensors

AT_A_TIME = 16  # pictures encoded


def encoded(model: DiffusionModel, folder: Path, kept: Path) -> Samples:
    """The captioned pictures of a folder (`read_captions`) as latents in 16 bits: the mean of the encoder's Gaussian.

    Each is cut to its middle square and resized to what the model draws. On several ranks each encodes its share.

    kept  the file that they are kept in: encoded anew where pictures, captions or autoencoder are others
    """
    ranks, (paths, texts) = place_among_ranks(), read_captions(folder)
    size = model.x_shape[-1] * 2 ** (len(model.codec.vae.config.block_out_channels) - 1)
    made_of = [[path.name, checksum(path), text] for path, text in zip(paths, texts, strict=True)]
    origin = {
        "pictures": hashlib.sha256(json.dumps(made_of).encode()).hexdigest(),
        "autoencoder": hash_tensors(model.codec.state_dict()),
        "size": size,
    }
    c = model.conditions.tokenize(texts)
    if kept.exists():
        tensors, told = load_tensors(kept)
        if told.get("origin") == origin:
            return Samples(tensors["x0"], c, model.codec)
    model.codec.to(ranks.device)
    mine = []
    for start in range(AT_A_TIME * ranks.process_index, len(paths), AT_A_TIME * ranks.num_processes):
        pixels = to_pixels(squares(paths[start : start + AT_A_TIME], size)).to(ranks.device)
        mine.append((start, model.codec.pack(model.codec.encode(pixels)).cpu()))
    x0 = torch.cat([part for _, part in sorted(gather_object(mine), key=lambda part: part[0])])
    if ranks.is_main_process:
        save_tensors(kept, {"x0": x0}, {"origin": origin})
    ranks.wait_for_everyone()
    return Samples(x0, c, model.codec)
