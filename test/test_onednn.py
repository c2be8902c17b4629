"""The onednn engine goes round oneDNN's faults, keeps few primitives, and refuses clearly."""

import itertools
from dataclasses import replace

import pytest
import torch
from comparison import assert_matches
from conv_case import ConvCase, ConvData
from ops import ENGINES, kind, op, pack, run

pytestmark = pytest.mark.skipif("onednn" not in ENGINES, reason="built without oneDNN")


def check(case: ConvCase) -> None:
    data = case.data()
    params = pack(data, "onednn")
    assert_matches(run(data, params), data.expected(engine="onednn"))
    assert_matches(run(data, params, "_relu"), data.expected(relu=True, engine="onednn"))
    unpacked = op(f"{kind(case.dims, case.transposed)}_unpack")(params)[0]
    assert torch.equal(unpacked.int_repr(), data.weight.int_repr())


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_transposed_with_other_channel_counts_out_than_in(dims: int, groups: int) -> None:
    # PyTorch's engine mixes the two up wherever they differ.
    for i, o in itertools.product((1, 3, 8, 16, 64), (1, 2, 8, 40)):
        check(
            ConvCase(
                f"{i}-{o}",
                dims=dims,
                transposed=True,
                in_channels=i * groups,
                out_channels=o * groups,
                groups=groups,
                stride=(2,),
                padding=(1,),
                output_padding=(1,),
                per_channel=i % 2 == 0,
                full_range=True,
            )
        )


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("channels", [(24, 16, 1), (8, 4, 1), (16, 16, 16)])
def test_transposed_with_outputs_that_no_input_reaches(
    kernel: int, channels: tuple[int, int, int]
) -> None:
    # oneDNN's kernel is wrong where two rows or more in a row are so.
    for stride, output_padding in itertools.product((3, 4, 5), (0, 2)):
        check(
            ConvCase(
                f"stride{stride}-output_padding{output_padding}",
                transposed=True,
                in_channels=channels[0],
                out_channels=channels[1],
                groups=channels[2],
                kernel=(kernel,),
                stride=(stride,),
                output_padding=(output_padding,),
            )
        )


@pytest.mark.parametrize("groups", [9, 13, 23, 31])
def test_weights_that_onednn_packs_wrongly(groups: int) -> None:
    # The sums that it keeps behind 4x4x4 weights of many groups are wrong.
    check(
        ConvCase(
            "4x4x4",
            dims=3,
            in_channels=groups,
            out_channels=2 * groups,
            groups=groups,
            kernel=(4,),
            padding=(2,),
            input_size=(3,),
        )
    )


@pytest.mark.parametrize("pixels", range(1, 14))
def test_pointwise_on_images_of_a_few_pixels(pixels: int) -> None:
    # Without VNNI, five are wrong.
    for channels, groups in itertools.product(((12, 36), (72, 100), (16, 16)), (1, 2)):
        check(
            ConvCase(
                "pointwise",
                in_channels=channels[0] * groups,
                out_channels=channels[1] * groups,
                groups=groups,
                kernel=(1,),
                input_size=(1, pixels),
            )
        )


def test_many_shapes_keep_few_primitives_and_one_weight() -> None:
    case = ConvCase("shapes", in_channels=32, out_channels=32, padding=(1,), per_channel=True)
    data = case.data()
    params = pack(data, "onednn")
    run(data, params)
    before = params.nbytes()
    for size in range(1, 80):
        other = replace(data, activation=case.but(input_size=(size, 5)).data().activation)
        assert_matches(run(other, params), other.expected(engine="onednn"))
    assert_matches(run(data, params), data.expected(engine="onednn"))
    # At most one more layout of the weight.
    assert before < 2 * data.weight.numel()
    assert params.nbytes() <= 2.5 * data.weight.numel()


def scaled(data: ConvData, input_scale: float, weight_scale: float, output: float) -> ConvData:
    x = torch._make_per_tensor_quantized_tensor(data.activation.int_repr(), input_scale, 100)
    weight = torch._make_per_tensor_quantized_tensor(data.weight.int_repr(), weight_scale, 0)
    return replace(data, activation=x, weight=weight, output_scale=output, output_zero_point=77)


@pytest.mark.parametrize(
    ("input_scale", "weight_scale", "output_scale", "bias"),
    [
        (1e30, 1.0, 1e-3, 0.0),  # values far beyond int32
        (1e-30, 1e-3, 1.2e-38, 5.0),  # 1 / output_scale is near the largest number
        (1e-3, 1e-3, 3e38, 0.0),  # ... below the smallest normal one
        (3e38, 0.5, 1.0, 0.0),  # values beyond float32
        (0.1, 0.1, 1.0, 3e38),
        (0.1, 0.1, 1.0, -3e38),
        (1e30, 1.0, 1.0, -3e38),
    ],
)
def test_extreme_scales_clamp_to_the_right_end(
    input_scale: float, weight_scale: float, output_scale: float, bias: float
) -> None:
    for case in (
        ConvCase("dense", in_channels=16, full_range=True),
        ConvCase("depthwise", groups=8, full_range=True),
        ConvCase("transposed", transposed=True, in_channels=16, full_range=True),
    ):
        data = scaled(case.data(), input_scale, weight_scale, output_scale)
        data = replace(data, bias=torch.full((case.out_channels,), bias))
        params, refusal = pack(data, "onednn"), ""
        try:
            actual = run(data, params)
        except ValueError as error:
            refusal = str(error)
        if refusal:
            assert "must stay a normal float32 number" in refusal
        else:
            assert_matches(actual, data.expected(engine="onednn"))


def test_asymmetric_weights_are_refused_with_the_reason() -> None:
    data = ConvCase("asymmetric", weight_zero_points=True).data()
    with pytest.raises(NotImplementedError, match="oneDNN needs weights whose zero points are all"):
        pack(data, "onednn")


def test_objects_pack_for_the_threads_of_their_run() -> None:
    data = ConvCase("threads", in_channels=32, input_size=(20, 20), padding=(1,)).data()
    params = pack(data, "onednn")
    before = torch.get_num_threads()
    try:
        for threads in (4, 1, 3):
            torch.set_num_threads(threads)
            assert_matches(run(data, params), data.expected(engine="onednn"))
    finally:
        torch.set_num_threads(before)


def test_far_taps_of_a_transposed_3d_convolution_take_no_time_to_pack() -> None:
    # oneDNN would take minutes to make a primitive; a file may ask for any dilation.
    near = ConvCase("near", dims=3, transposed=True, input_size=(2,), kernel=(2,), dilation=(64,))
    assert pack(near.data(), "onednn").kernel_name() != "exact"
    weight = torch.quantize_per_tensor(torch.ones(2, 2, 1, 1, 2), 0.1, 0, torch.qint8)
    prepack = op("conv_transpose3d_prepack")
    geometry = ([1] * 3, [0] * 3, [0] * 3)
    params = prepack(weight, None, *geometry, [1, 1, 10**9 // 4], 1, engine="onednn")
    assert params.kernel_name() == "exact"
    check(replace(near, name="far", kernel=(1, 1, 2), dilation=(1, 1, 5000)))
