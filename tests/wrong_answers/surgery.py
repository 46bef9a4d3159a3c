"""Typical wrong answers to assignment 3. A name is the question and what is wrong; the docstring, what the check has to say."""

import torch

teacher_name = None  # the graded notebook has its own


def conv_macs__operations(conv, height, width):
    """a multiplication and the addition that follows are one MAC"""
    return 2 * conv.weight.numel() * (height // conv.stride[0]) * (width // conv.stride[1])


def conv_macs__before_the_stride(conv, height, width):
    """how many pixels come out"""
    return conv.weight.numel() * height * width


def conv_macs__with_bias(conv, height, width):
    """is the bias counted"""
    return (conv.weight.numel() + conv.bias.numel()) * (height // conv.stride[0]) * (width // conv.stride[1])


def conv_macs__all_channels(conv, height, width):
    """of how many channels does one output channel look at"""
    kernel = conv.kernel_size[0] * conv.kernel_size[1]
    return conv.in_channels * conv.out_channels * kernel * (height // conv.stride[0]) * (width // conv.stride[1])


def conv_macs__parameters(conv, height, width):
    """each of them is used at every pixel"""
    return conv.weight.numel()


def conv_macs__one_stride(conv, height, width):
    """the stride is right in one direction of the picture"""
    return conv.weight.numel() * height * width // conv.stride[0]


def conv_macs__square_strides(conv, height, width):
    """how many pixels come out"""
    return conv.weight.numel() * height * width // conv.stride[0] ** 2


def conv_macs__square_pictures(conv, height, width):
    """as if the picture were square"""
    return conv.weight.numel() * (height // conv.stride[0]) ** 2


def conv_macs__three_by_three(conv, height, width):
    """as if every kernel were 3 x 3"""
    pixels = (height // conv.stride[0]) * (width // conv.stride[1])
    return 9 * conv.in_channels // conv.groups * conv.out_channels * pixels


def student_config__always_one_layer(config):
    """2 residual blocks a stage expected"""
    return dict(config) | {"layers_per_block": 1, "mid_block_type": None}


def student_config__keeps_the_middle(config):
    """still has a mid block"""
    return dict(config) | {"layers_per_block": config["layers_per_block"] - 1}


def student_config__in_place(config):
    """the teacher's configuration has been changed"""
    config["layers_per_block"] -= 1
    config["mid_block_type"] = None
    return config


def student_config__narrower_too(config):
    """everything but layers and mid block stays"""
    widths = [width // 2 for width in config["block_out_channels"]]
    changes = {"layers_per_block": config["layers_per_block"] - 1, "mid_block_type": None, "block_out_channels": widths}
    return dict(config) | changes


def teacher_name__the_same(name, layers_S, layers_T):
    """keeps its name"""
    return name


def teacher_name__down_as_well(name, layers_S, layers_T):
    """only up stages count differently"""
    parts = name.split(".")
    if len(parts) > 3 and parts[2] in ("resnets", "attentions") and int(parts[3]) == layers_S - parts[0].startswith("down"):
        parts[3] = str(layers_T - parts[0].startswith("down"))
    return ".".join(parts)


def teacher_name__the_next_layer(name, layers_S, layers_T):
    """is it the layer that is counted, or the stage"""
    parts = name.split(".")
    if parts[0] == "up_blocks" and parts[2] in ("resnets", "attentions"):
        parts[3] = str(int(parts[3]) + layers_T - layers_S)
    return ".".join(parts)


def teacher_name__without_attention(name, layers_S, layers_T):
    """keeps its name"""
    return name.replace(f"resnets.{layers_S}.", f"resnets.{layers_T}.") if name.startswith("up_blocks") else name


def inherit__where_names_fit(student, teacher, layers_S, layers_T):
    """tensors are not the teacher's, first up_blocks.0.resnets.1"""
    weights = student.state_dict()
    same_place = {name: value for name, value in teacher.state_dict().items() if name in weights}
    student.load_state_dict(
        {name: same_place[name] if same_place[name].shape == weights[name].shape else weights[name] for name in weights}
    )


def inherit__shared(student, teacher, layers_S, layers_T):
    """share their memory"""
    weights = dict(teacher.named_parameters())
    for name, parameter in student.named_parameters():
        parameter.data = weights[teacher_name(name, layers_S, layers_T)].data


def inherit__a_copy_of_the_dictionary(student, teacher, layers_S, layers_T):
    """written into a copy"""
    weights, inherited = teacher.state_dict(), dict(student.state_dict())
    for name in inherited:
        inherited[name] = weights[teacher_name(name, layers_S, layers_T)]


def inherit__the_other_way(student, teacher, layers_S, layers_T):
    """the teacher's weights have changed"""
    weights = dict(teacher.named_parameters())
    for name, parameter in student.named_parameters():
        weights[teacher_name(name, layers_S, layers_T)].data.copy_(parameter.data)


def inherit__layers_by_heart(student, teacher, layers_S, layers_T):
    """a student of 2 layers a block and a teacher of 3"""
    weights = teacher.state_dict()
    student.load_state_dict(
        {
            name: weights[name.replace("resnets.1", "resnets.2") if name.startswith("up_blocks") else name]
            for name in student.state_dict()
        }
    )


def inherit__frozen(student, teacher, layers_S, layers_T):
    """of the student's parameters have lost their requires_grad"""
    weights = teacher.state_dict()
    student.load_state_dict({name: weights[teacher_name(name, layers_S, layers_T)] for name in student.state_dict()})
    student.requires_grad_(False)


def with_features__hooks_stay(model, names, *inputs):
    """hooks are left behind"""
    features = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda module, args, out, name=name: features.__setitem__(name, out[0] if isinstance(out, tuple) else out)
        )
    return model(*inputs), features


def with_features__tuples(model, names, *inputs):
    """its first element is the feature"""
    features, handles = {}, []
    for name in names:
        keep = lambda module, args, out, name=name: features.__setitem__(name, out)  # noqa: E731
        handles.append(model.get_submodule(name).register_forward_hook(keep))
    out = model(*inputs)
    for handle in handles:
        handle.remove()
    return out, features


def with_features__without_gradient(model, names, *inputs):
    """has no gradient"""
    features, handles = {}, []
    for name in names:
        keep = lambda m, a, out, name=name: features.__setitem__(name, (out[0] if isinstance(out, tuple) else out).detach())  # noqa: E731
        handles.append(model.get_submodule(name).register_forward_hook(keep))
    out = model(*inputs)
    for handle in handles:
        handle.remove()
    return out, features


def with_features__the_last_one_everywhere(model, names, *inputs):
    """features should be a dictionary of"""
    features, handles = {}, []
    for name in names:
        keep = lambda module, args, out: features.__setitem__(name, out[0] if isinstance(out, tuple) else out)  # noqa: E731, B023
        handles.append(model.get_submodule(name).register_forward_hook(keep))
    out = model(*inputs)
    for handle in handles:
        handle.remove()
    return out, features


def with_features__only_the_sample(model, names, *inputs):
    """an output with a .sample, and you handed on a Tensor"""
    features = {}

    def keep(name):
        return lambda module, args, out: features.__setitem__(name, out[0] if isinstance(out, tuple) else out)

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    out = model(*inputs)
    for handle in handles:
        handle.remove()
    return out.sample, features


def with_features__hooks_that_return(model, names, *inputs):
    """a hook returned something"""
    features = {}

    def keep(name):
        return lambda module, args, out: features.setdefault(name, out[0] if isinstance(out, tuple) else out)

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    out = model(*inputs)
    for handle in handles:
        handle.remove()
    return out, features


def with_features__clears_everybodys(model, names, *inputs):
    """hooks that somebody else had registered are gone"""
    features = {}

    def keep(name):
        return lambda module, args, out: features.__setitem__(name, out[0] if isinstance(out, tuple) else out)

    for name in names:
        model.get_submodule(name).register_forward_hook(keep(name))
    out = model(*inputs)
    for module in model.modules():
        module._forward_hooks.clear()
    return out, features


def feature_loss__averaged(features_S, features_T):
    """the layers are summed, not averaged"""
    parts = [(a - b.detach()).square().mean() for a, b in zip(features_S, features_T, strict=True)]
    return sum(parts) / len(parts)


def feature_loss__all_values_alike(features_S, features_T):
    """large layers would drown the small ones"""
    return sum((a - b.detach()).square().sum() for a, b in zip(features_S, features_T, strict=True))


def feature_loss__the_teacher_learns(features_S, features_T):
    """the teacher's features get a gradient"""
    return sum((a - b).square().mean() for a, b in zip(features_S, features_T, strict=True))


def feature_loss__both_detached(features_S, features_T):
    """the loss has no gradient"""
    return sum((a.detach() - b.detach()).square().mean() for a, b in zip(features_S, features_T, strict=True))


def feature_loss__nobody_learns(features_S, features_T):
    """the loss has no gradient"""
    with torch.no_grad():
        return sum((a - b).square().mean() for a, b in zip(features_S, features_T, strict=True))
