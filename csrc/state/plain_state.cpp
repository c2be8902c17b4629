#include <ATen/ops/empty.h>
#include <c10/util/safe_numerics.h>

#include <bit>
#include <cstring>
#include <limits>

#include "conv/check.h"
#include "conv/quantized_weight.h"
#include "state/base64.h"
#include "state/checksum.h"
#include "state/config.h"
#include "state/elements.h"
#include "state/saved_conv.h"

namespace qconv {
namespace {

static_assert(
    std::endian::native == std::endian::little, "the payload's numbers are little-endian");

constexpr int64_t kAllFlags = kFlagTransposed | kFlagPerChannel | kFlagMayRunAs1d | kFlagBias;

template <typename Value>
void append(std::string& payload, const Value* values, size_t count) {
  payload.append(reinterpret_cast<const char*>(values), count * sizeof(Value));
}

// Takes values off the front of the payload, which is known to be long enough.
template <typename Value>
std::vector<Value> take(std::string_view& payload, size_t count) {
  std::vector<Value> values(count);
  std::memcpy(values.data(), payload.data(), count * sizeof(Value));
  payload.remove_prefix(count * sizeof(Value));
  return values;
}

// The engine is left out: it is a wish, and may be edited.
int64_t checksum_of_state(const std::vector<int64_t>& config, const std::string& payload) {
  std::string numbers;
  append(numbers, config.data(), config.size());
  return checksum(payload, checksum(numbers));
}

// Product of the weight's sizes; nullopt where one isn't positive or the product overflows.
std::optional<uint64_t> elements(const std::vector<int64_t>& sizes) {
  uint64_t result = 1;
  for (int64_t size : sizes) {
    if (size <= 0 || c10::mul_overflows(result, static_cast<uint64_t>(size), &result) ||
        result > std::numeric_limits<uint64_t>::max() / 32) {
      return std::nullopt;
    }
  }
  return result;
}

}  // namespace

PlainState write_plain_state(const UnpackedConv& conv) {
  const ConvDescription& description = conv.description;
  const ConvGeometry& geometry = description.geometry;
  int64_t flags = geometry.transposed ? kFlagTransposed : 0;
  flags |= description.weight.per_channel ? kFlagPerChannel : 0;
  flags |= geometry.may_run_as_1d ? kFlagMayRunAs1d : 0;
  flags |= description.bias ? kFlagBias : 0;
  std::vector<int64_t> config = write_config(geometry, geometry.conv_dims, flags);
  const at::Tensor weight = geometry.conv_dims == 1 ? conv.weight.squeeze(2) : conv.weight;
  config.insert(config.end(), weight.sizes().begin(), weight.sizes().end());

  std::string payload;
  append(payload, weight.const_data_ptr<int8_t>(), weight.numel());
  append(payload, description.weight.scales.data(), description.weight.scales.size());
  append(payload, description.weight.zero_points.data(), description.weight.zero_points.size());
  if (description.bias) {
    append(payload, description.bias->data(), description.bias->size());
  }
  config.push_back(checksum_of_state(config, payload));
  return {kPlainTag, conv.engine, std::move(config), base64_encode(payload)};
}

SavedConv read_plain_state(std::string_view op, const c10::IValue& value) {
  const StateReader state(op, kPlainTag, value, 4);
  SavedConv result;
  ConvArguments& arguments = result.arguments;
  result.engine = state.text(1);
  std::vector<int64_t> config = state.integers(2);
  QCONV_CHECK_VALUE(!config.empty(), state.where(), "the config must not be empty");
  const int64_t dims = config[0];
  // The shared config, the weight's sizes, the checksum.
  const size_t shared = config_length(state.where(), dims);
  state.check_count("the config", config.size(), shared + dims + 3);
  const int64_t expected_checksum = config.back();
  config.pop_back();
  const std::vector<int64_t> sizes(config.begin() + shared, config.end());
  const std::vector<int64_t> shared_config(config.begin(), config.begin() + shared);
  const int64_t flags = read_config(state.where(), shared_config, kAllFlags, arguments);
  arguments.may_run_as_1d = (flags & kFlagMayRunAs1d) != 0;

  WeightQuantization quantization;
  quantization.per_channel = (flags & kFlagPerChannel) != 0;
  const std::optional<uint64_t> weights = elements(sizes);
  QCONV_CHECK_VALUE(
      weights.has_value() && arguments.groups > 0, state.where(),
      "the weight's sizes and groups must be positive and their product fit int64, got ", sizes,
      " and ", arguments.groups);
  const uint64_t channels =
      quantization.per_channel ? sizes[quantization.channel_axis(arguments.transposed)] : 1;
  uint64_t biases = 0;
  if ((flags & kFlagBias) != 0) {
    const uint64_t groups = arguments.transposed ? arguments.groups : 1;
    QCONV_CHECK_VALUE(
        !c10::mul_overflows(
            static_cast<uint64_t>(sizes[arguments.transposed ? 1 : 0]), groups, &biases) &&
            biases < std::numeric_limits<uint64_t>::max() / 32,
        state.where(), "out_channels must fit int64");
  }

  const std::optional<std::string> payload = base64_decode(state.text(3));
  const uint64_t expected_bytes =
      *weights + channels * (sizeof(double) + sizeof(int32_t)) + biases * sizeof(float);
  QCONV_CHECK_VALUE(
      payload.has_value(), state.where(),
      "element 3 must be base64 text, got another character, length or padding in its ",
      state.text(3).size(), " characters");
  QCONV_CHECK_VALUE(
      payload->size() == expected_bytes, state.where(), "element 3 must hold ", expected_bytes,
      " bytes, got ", payload->size());
  QCONV_CHECK_VALUE(
      checksum_of_state(config, *payload) == expected_checksum, state.where(),
      "the state doesn't match its checksum: the file is damaged");

  std::string_view left = *payload;
  const at::Tensor integers = at::empty(sizes, at::TensorOptions().dtype(at::kChar));
  std::memcpy(integers.mutable_data_ptr(), left.data(), *weights);
  left.remove_prefix(*weights);
  quantization.scales = take<double>(left, channels);
  quantization.zero_points = take<int32_t>(left, channels);
  arguments.weight = make_quantized_weight(integers, quantization, arguments.transposed);
  QCONV_CHECK_VALUE(
      !arguments.may_run_as_1d || may_have_been_1d(arguments), state.where(),
      "a convolution whose height does something can't be marked to run as 1-D");
  if ((flags & kFlagBias) != 0) {
    arguments.bias = to_tensor(take<float>(left, biases));
  }
  return result;
}

}  // namespace qconv
