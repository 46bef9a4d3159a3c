"""Which folders of diffusers hold an architecture that we know, by their configs; and which models belong together."""

from pathlib import Path

from rcedu.system.files import read_json
from rcedu.system.usage import UsageError

PREDICTIONS = ("epsilon", "sample", "v_prediction")


def check_layout(folder: Path) -> None:
    """UsageError, saying why, where a model's folder is of another architecture than Stable Diffusion 1's and 2's, or ours.

    What is missing or cannot be read is no business of this: whoever reads it says so.
    """
    index, unet, text, vae, scheduler = (
        _config(Path(folder) / name)
        for name in (
            "model_index.json", "unet/config.json", "text_encoder/config.json", "vae/config.json",
            "scheduler/scheduler_config.json",
        )
    )  # fmt: skip
    if "transformer" in index:
        _refuse(folder, "its denoiser is a transformer, not a UNet")
    if unet.get("addition_embed_type") or index.get("text_encoder_2"):
        _refuse(folder, "it takes more than one text encoder's vectors, as SDXL does")
    if unet.get("encoder_hid_dim_type") or ("text_encoder" in index and unet.get("class_embed_type")):
        _refuse(folder, "its UNet takes another condition than a text")
    if (kind := text.get("model_type")) not in (None, "clip_text_model", "clip"):
        _refuse(folder, f"its text encoder is {kind}, not CLIP")
    widths = unet.get("cross_attention_dim"), text.get("hidden_size")
    if None not in widths and {widths[1]} != set(widths[0] if isinstance(widths[0], list) else widths[:1]):
        _refuse(folder, f"its UNet attends to vectors of {widths[0]}, and its text encoder makes some of {widths[1]}")
    channels = unet.get("in_channels"), vae.get("latent_channels")
    if None not in channels and channels[0] != channels[1]:
        _refuse(folder, f"its UNet takes {channels[0]} channels, and its autoencoder's latents have {channels[1]}")
    if str(scheduler.get("_class_name", "")).startswith("FlowMatch"):
        _refuse(folder, "it was trained by flow matching, without a schedule of alpha and sigma")
    if (predicts := scheduler.get("prediction_type", PREDICTIONS[0])) not in PREDICTIONS:
        _refuse(folder, f"it predicts {predicts!r}")


def check_same_space(model, other) -> None:
    """UsageError where two models differ in what latents and conditions mean: in their shape, autoencoder or text encoder."""
    for what, of in {
        "shape of latents": lambda x: x.x_shape,
        "autoencoder": lambda x: x.codec.settings,
        "text encoder": lambda x: x.conditions.settings,
    }.items():
        if of(model) != of(other):
            raise UsageError(f"two of the models do not belong together: each has another {what}; take those of one teacher")


def _refuse(folder: Path, why: str) -> None:
    raise UsageError(f"{folder} is of another architecture: {why}; Stable Diffusion 1's and 2's are what can be opened here")


def _config(path: Path) -> dict:
    try:
        found = read_json(path)
    except (UsageError, OSError):
        return {}
    return found if isinstance(found, dict) else {}
