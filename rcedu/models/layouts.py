"""Check by their configs which diffusers folders have a supported architecture, and which models belong together."""

from pathlib import Path

from rcedu.system.files import read_json
from rcedu.system.usage import UsageError

PREDICTIONS = ("epsilon", "sample", "v_prediction")
NOTHING = (None, [None, None])  # how model_index.json says that a pipeline lacks a part


def check_layout(folder: Path) -> None:
    """UsageError, saying why, unless a folder has the architecture of Stable Diffusion 1, 2 or XL, or is one of ours.

    Missing and unreadable files are ignored here: whatever reads them complains.
    """
    index, unet, text, text_2, vae, scheduler = (
        _config(Path(folder) / name)
        for name in (
            "model_index.json", "unet/config.json", "text_encoder/config.json", "text_encoder_2/config.json",
            "vae/config.json", "scheduler/scheduler_config.json",
        )
    )  # fmt: skip
    if "transformer" in index:
        _refuse(folder, "its denoiser is a transformer, not a UNet")
    added, of_label = unet.get("addition_embed_type"), "text_encoder" in index and unet.get("class_embed_type")
    if added not in (None, "text_time") or of_label or unet.get("encoder_hid_dim_type"):
        _refuse(folder, "its UNet takes another condition than a text")
    if added:
        _check_xl(folder, index, unet, text_2)
    elif index.get("text_encoder_2") not in NOTHING:
        _refuse(folder, "it has two text encoders, and its UNet has no input for the second one's pooled vector")
    texts = (text, text_2) if added else (text,)
    for kind in (config.get("model_type") for config in texts):
        if kind not in (None, "clip_text_model", "clip"):
            _refuse(folder, f"its text encoder is {kind}, not CLIP")
    attends, made = unet.get("cross_attention_dim"), [config.get("hidden_size") for config in texts]
    each = attends if isinstance(attends, list) else [attends]  # level
    if attends and _all_ints(*made) and any(width != sum(made) for width in each):
        makes = " and ".join(map(str, made))
        _refuse(folder, f"its UNet attends to vectors of {attends}, and its text encoder makes some of {makes}")
    channels = unet.get("in_channels"), vae.get("latent_channels")
    if None not in channels and channels[0] != channels[1]:
        _refuse(folder, f"its UNet takes {channels[0]} channels, and its autoencoder's latents have {channels[1]}")
    if vae.get("latents_mean"):
        _refuse(folder, "its autoencoder's latents are shifted (latents_mean), not only scaled")
    if (kind := str(scheduler.get("_class_name", ""))).startswith(("FlowMatch", "EDM")):
        how = "by flow matching" if kind.startswith("FlowMatch") else "on EDM's noise levels"
        _refuse(folder, f"it was trained {how}, without a schedule of alpha and sigma")
    if (predicts := scheduler.get("prediction_type", PREDICTIONS[0])) not in PREDICTIONS:
        _refuse(folder, f"it predicts {predicts!r}")


def _check_xl(folder: Path, index: dict, unet: dict, text_2: dict) -> None:
    """Check that SDXL's UNet needs no more than a text provides: vectors of two encoders, one pooled vector, six sizes."""
    second = index.get("text_encoder_2") not in NOTHING
    if index.get("requires_aesthetics_score") or (second and index.get("text_encoder") in NOTHING):
        _refuse(folder, "it is SDXL's refiner, which goes on from another model's picture; give the base model")
    if "Img2Img" in (kind := str(index.get("_class_name"))) or "Inpaint" in kind:
        _refuse(folder, f"it draws from a picture ({kind}), not from a text alone; give a StableDiffusionXLPipeline's")
    if not second:
        _refuse(folder, "its UNet takes two text encoders' vectors, as SDXL's does, and there is no second one")
    takes, of_a_size = unet.get("projection_class_embeddings_input_dim"), unet.get("addition_time_embed_dim")
    pooled = text_2.get("projection_dim")
    if _all_ints(takes, of_a_size, pooled) and takes != pooled + 6 * of_a_size:
        beside = f"a pooled vector of {pooled} and six sizes of {of_a_size} make {pooled + 6 * of_a_size}"
        _refuse(folder, f"its UNet takes {takes} numbers beside the text, and {beside}")


def check_same_space(model, other) -> None:
    """UsageError if two models differ in the shape of latents, the autoencoder or the text encoder."""
    for what, of in {
        "shape of latents": lambda x: x.x_shape,
        "autoencoder": lambda x: x.codec.settings,
        "text encoder": lambda x: x.conditions.settings,
    }.items():
        if of(model) != of(other):
            raise UsageError(f"two of the models do not belong together: their {what} differs; use models of one teacher")


def _refuse(folder: Path, why: str) -> None:
    raise UsageError(f"{folder} has an unsupported architecture: {why}; those of Stable Diffusion 1, 2 and XL are supported")


def _all_ints(*values) -> bool:
    return all(isinstance(value, int) for value in values)


def _config(path: Path) -> dict:
    try:
        found = read_json(path)
    except (UsageError, OSError):
        return {}
    return found if isinstance(found, dict) else {}
