"""What the native engine makes of many convolutions, for comparison between instruction sets.

As a program it prints JSON: {case: [kernel name, digest of all outputs]}.
"""

import hashlib
import json
from collections.abc import Iterator

import torch
from cases import CASES
from conv_case import ConvCase
from ops import kind, op, pack, run
from random_cases import random_case, special_case
from sums import addend_of

SEEDS = range(1000, 1150)


def convolutions() -> Iterator[ConvCase]:
    yield from (*CASES, *map(random_case, SEEDS), *map(special_case, SEEDS))
    # Many blocks of channels and many pixels, whole ones and a rest.
    large = ConvCase("large", in_channels=256, out_channels=256, input_size=(14,), padding=(1,))
    yield large.but(full_range=True, per_channel=True)
    yield large.but(name="large-rest", in_channels=131, out_channels=77, batch=2)
    yield large.but(
        name="large-depthwise", groups=256, input_size=(30, 41), weight_zero_points=True
    )
    yield large.but(
        name="large-first-layer", in_channels=3, out_channels=64, input_size=(64,), stride=(2,)
    )
    yield large.but(name="large-up", transposed=True, kernel=(4,), stride=(2,), input_size=(12, 19))
    yield large.but(
        name="large-up-pointwise",
        transposed=True,
        kernel=(2,),
        stride=(2,),
        padding=(0,),
        out_channels=77,
    )
    yield large.but(
        name="large-pointwise", kernel=(1,), padding=(0,), in_channels=2048, full_range=True
    )


def digest(case: ConvCase) -> tuple[str, str]:
    """The kernel's name, and the bytes of every op's output in short."""
    data = case.data()
    params = pack(data, "native")
    x, scale, zero_point = data.activation, data.output_scale, data.output_zero_point
    name = kind(case.dims, case.transposed)
    results = [
        run(data, params).int_repr(),
        run(data, params, "_relu").int_repr(),
        op(f"{name}_add")(x, addend_of(data, seed=5), params, scale, zero_point).int_repr(),
        op(f"{name}_dynamic")(x.dequantize(), params),
        # Values of a million quanta, which are requantized in float64.
        op(name)(x, params, scale / 5000, 128).int_repr(),
    ]
    found = hashlib.sha256()
    for result in results:
        found.update(result.contiguous().numpy().tobytes())
    return params.kernel_name(), found.hexdigest()


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({case.name: digest(case) for case in convolutions()}))
