#include "engines/native/packed_conv.h"

#include <ATen/ops/empty.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "conv/check.h"
#include "engines/native/native_arguments.h"
#include "native/format/pack.h"
#include "native/format/packed_view.h"
#include "native/format/unpack.h"
#include "native/run/run.h"

namespace qconv {
namespace {

// Names the engine where the op isn't known.
constexpr std::string_view kEngine = "engine native";

// The core's complaints as ValueErrors of the op.
template <typename Call>
auto raising_value_errors(std::string_view op, const Call& call) {
  try {
    return call();
  } catch (const std::invalid_argument& error) {
    QCONV_CHECK_VALUE(false, op, error.what());
  }
}

// Scales and zero points as the core takes them: one, or one for each output channel, where those
// of a transposed weight are shared by its groups.
struct ChannelQuantization {
  std::vector<double> scales;
  std::vector<int32_t> zero_points;

  explicit ChannelQuantization(const ConvDescription& conv) {
    for (int64_t i = 0; i < (conv.weight.per_channel ? conv.geometry.out_channels : 1); ++i) {
      scales.push_back(conv.weight.scales[conv.channel_index(i)]);
      zero_points.push_back(conv.weight.zero_points[conv.channel_index(i)]);
    }
  }
};

class NativePackedConv final : public PackedConv {
 public:
  explicit NativePackedConv(at::Tensor buffer)
      : buffer_(std::move(buffer)),
        view_(
            native::view_packed(
                buffer_.const_data_ptr<uint8_t>(), static_cast<size_t>(buffer_.numel()), false)) {}

  bool takes_int8() const override { return true; }

  void run(
      std::string_view op, const RunShape& shape, const Activation& input,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const override {
    Epilogue epilogue;
    if (post_op == PostOp::kRelu) {
      epilogue.function = PointwiseFunction::kRelu;
    }
    run_native(op, shape, input, epilogue, {output, c10::ScalarType::Byte, quantization});
  }

  void run_to_float(const RunShape& shape, const Activation& input, float* output) const override {
    run_native(kEngine, shape, input, {}, {output, c10::ScalarType::Float, {}});
  }

  bool run_fused(
      std::string_view op, const RunShape& shape, const Activation& input, const Epilogue& epilogue,
      const Output& output) const override {
    run_native(op, shape, input, epilogue, output);
    return true;
  }

  at::Tensor unpack() const override {
    const native::Convolution& conv = view_.original;
    c10::SmallVector<int64_t, 5> sizes{conv.out_channels, conv.in_channels_per_group()};
    if (conv.transposed) {
      sizes = {conv.in_channels, conv.out_channels_per_group()};
    }
    const int dims = conv.spatial_dims == 3 ? 3 : 2;
    sizes.append(conv.kernel.end() - dims, conv.kernel.end());
    const at::Tensor weight = at::empty(sizes, at::TensorOptions().dtype(at::kChar));
    native::unpack_weight(view_, weight.mutable_data_ptr<int8_t>());
    return weight;
  }

  int64_t nbytes() const override { return buffer_.numel(); }

  std::string kernel_name() const override {
    return raising_value_errors(kEngine, [&] { return native::kernel_name(view_); });
  }

  std::string describe_run(const RunShape& shape) const override {
    return raising_value_errors(kEngine, [&] {
      return native::describe_run(view_, to_native(shape, {}), torch_parallel_for());
    });
  }

 private:
  void run_native(
      std::string_view op, const RunShape& shape, const Activation& input, const Epilogue& epilogue,
      const Output& output) const {
    raising_value_errors(op, [&] {
      native::run(
          view_, to_native(shape, input), to_native(epilogue), to_native(output),
          torch_parallel_for());
    });
  }

  const at::Tensor buffer_;  // uint8, the packed form that docs/packed_format.md describes
  const native::PackedView view_;
};

}  // namespace

std::unique_ptr<const PackedConv> pack_native_conv(
    std::string_view op, const ConvDescription& conv, const WeightSource& weight) {
  const at::Tensor& original = weight.original();
  native::PackSource source;
  source.conv = to_native(conv.geometry);
  source.weight = original.const_data_ptr<int8_t>();
  source.strides = to_native_strides(conv.geometry, original.strides());
  const ChannelQuantization quantization(conv);
  source.scales = quantization.scales.data();
  source.scales_per_channel = conv.weight.per_channel;
  source.zero_points = quantization.zero_points.data();
  source.zero_points_per_channel = conv.weight.per_channel;
  source.bias = conv.bias ? conv.bias->data() : nullptr;
  return raising_value_errors(op, [&] {
    const at::Tensor buffer = at::empty(
        {static_cast<int64_t>(native::packed_size(source))}, at::TensorOptions().dtype(at::kByte));
    try {
      native::pack(source, buffer.mutable_data_ptr<uint8_t>(), static_cast<size_t>(buffer.numel()));
    } catch (const std::invalid_argument&) {
      // Raises the error that all engines have for sums that can overflow, if it is that.
      weight.facts();
      throw;
    }
    return std::make_unique<NativePackedConv>(buffer);
  });
}

}  // namespace qconv
