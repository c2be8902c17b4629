"""Writes the module files of data/ (kinds mod, sd and pkl) with the PyTorch that runs it.

    python write_modules.py FOLDER NAME.KIND ...

PyTorch 1.3 to 2.13 and numpy are all it needs; see README.md for the names. Beside each file it
writes what must come out, NAME.KIND.npz; it prints the manifest's entry.
"""

import json
import os
import sys

import numpy
import torch
import torch.nn.intrinsic.quantized
import torch.nn.quantized

CONFIGS = {
    "A": {"channels": (3, 5, 1), "stride": 1, "padding": 0, "dilation": 1},
    "B": {"channels": (4, 8, 2), "stride": 2, "padding": 2, "dilation": 2},
}
SIZES = (9, 8, 7)
KERNEL = (3, 2, 2)


def quantized_weight(shape, axis, wzp):
    values = torch.randint(-128, 128, shape).float()
    if axis is None:
        # Some releases round it to float32.
        scale = 25 / 2048
        return torch.quantize_per_tensor((values - 5 * wzp) * scale, scale, 5 * wzp, torch.qint8)
    channels = shape[axis]
    scales = torch.linspace(0.004, 0.02, channels).double()
    zero_points = torch.arange(channels).long() % 7 - 3 if wzp else torch.zeros(channels).long()
    return torch.quantize_per_channel(values * 0.01, scales, zero_points, axis, torch.qint8)


def reference(x, weight, axis, bias, op, numbers, groups, y_scale, y_zero_point):
    """The output in float64, rounded and clamped."""
    dims = weight.dim() - 2
    shape = [-1 if dim == axis else 1 for dim in range(weight.dim())]
    if axis is None:
        scales = torch.tensor([weight.q_scale()]).double()
        zero_points = torch.tensor([weight.q_zero_point()])
    else:
        scales, zero_points = weight.q_per_channel_scales(), weight.q_per_channel_zero_points()
    real = (weight.int_repr().double() - zero_points.double().view(shape)) * scales.view(shape)
    function = getattr(torch.nn.functional, op.replace("_relu", ""))
    y = function(
        (x.int_repr().double() - x.q_zero_point()) * x.q_scale(), real, groups=groups, **numbers
    )
    if bias is not None:
        y = y + bias.double().view([1, -1] + [1] * dims)
    if op.endswith("_relu"):
        y = y.clamp(min=0)
    return ((y / y_scale).round() + y_zero_point).clamp(0, 255).byte()


def module_class(op):
    name = "".join(part.capitalize() for part in op.replace("_relu", "").split("_"))
    if op.endswith("_relu"):
        return getattr(torch.nn.intrinsic.quantized, name.replace("Conv", "ConvReLU"))
    return getattr(torch.nn.quantized, name)


def write(folder, file):
    torch.manual_seed(sum(map(ord, file)))
    name, kind = file.split(".")[:-2], file.split(".")[-2]
    # PyTorch 1.4 and 1.5 can write state_dicts as zip archives, but do so only when asked; later
    # ones can write the container before that.
    container = name.pop() if name[-1] in ("zip", "stream") else None
    zipped = {} if container is None else {"_use_new_zipfile_serialization": container == "zip"}
    op, config, scheme, bias = name[:4]
    wzp, transposed, dims = int("wzp" in name), "transpose" in op, int(op.split("d")[0][-1])
    torch.backends.quantized.engine = name[-1]
    numbers = {k: (v,) * dims for k, v in CONFIGS[config].items() if k != "channels"}
    ins, outs, groups = CONFIGS[config]["channels"]
    if transposed and config == "B":
        numbers["output_padding"] = (1,) * dims
    arguments = {key: value[0] if dims == 1 else value for key, value in numbers.items()}
    kernel = KERNEL[:dims]
    module = module_class(op)(
        ins, outs, kernel[0] if dims == 1 else kernel, groups=groups, bias=bias == "b", **arguments
    )
    shape = (ins, outs // groups) if transposed else (outs, ins // groups)
    axis = int(transposed) if scheme == "chn" else None
    weight = quantized_weight(shape + kernel, axis, wzp)
    values = torch.randn(outs) * 20 if bias == "b" else None
    module.set_weight_bias(weight, values)
    x = torch.randint(0, 256, (2, ins, *SIZES[:dims]))
    x = torch.quantize_per_tensor((x.float() - 51) * 0.0417, 0.0417, 51, torch.quint8)
    module.scale, module.zero_point = 0.75, 104

    path = os.path.join(folder, file)
    if kind == "mod":
        torch.jit.save(torch.jit.script(module), path)
    else:
        torch.save(module.state_dict() if kind == "sd" else module, path, **zipped)
    y = module(x).int_repr()
    y_ref = reference(x, weight, axis, values, op, numbers, groups, module.scale, module.zero_point)
    expected = {
        "x": x.int_repr(),
        "x_scale": x.q_scale(),
        "x_zero_point": x.q_zero_point(),
        "y": y,
        "y_ref": y_ref,
        "y_scale": module.scale,
        "y_zero_point": module.zero_point,
        "w": weight.int_repr(),
        "w_scales": [weight.q_scale()] if axis is None else weight.q_per_channel_scales(),
        "w_zero_points": (
            [weight.q_zero_point()] if axis is None else weight.q_per_channel_zero_points()
        ),
        "w_axis": -1 if axis is None else axis,
        "output_padding": numbers.pop("output_padding", (0,) * dims),
        "groups": groups,
        "transpose": int(transposed),
    }
    expected.update(numbers)
    if values is not None:
        expected["bias"] = values
    arrays = {key: numpy.asarray(value) for key, value in expected.items()}
    numpy.savez(path + ".npz", **arrays)
    release = "torch-" + torch.__version__.split("+")[0]
    entry = {
        "file": release + "/" + file,
        "kind": kind,
        "expected": "expected/" + release + "." + file + ".npz",
        "state_versions": None,
        "op": op,
        "engine": name[-1],
        "per_channel": axis is not None,
        "has_bias": values is not None,
        "weight_zp_nonzero": bool(wzp),
        "transpose": transposed,
        "y_vs_y_ref_max_diff": int((y.int() - y_ref.int()).abs().max()),
    }
    print(json.dumps(entry))


for file in sys.argv[2:]:
    write(sys.argv[1], file)
