#include <algorithm>

#include "conv/check.h"
#include "state/config.h"
#include "state/elements.h"
#include "state/saved_conv.h"

namespace qconv {
namespace {

std::vector<int64_t> integers_in(
    const StateReader& state, size_t index, const char* name, int spatial_dims) {
  const std::vector<at::Tensor> tensors = state.tensors(index);
  state.check_count(name, tensors.size(), spatial_dims);
  std::vector<int64_t> values;
  for (const at::Tensor& tensor : tensors) {
    values.push_back(state.integer_in(tensor, name));
  }
  return values;
}

ConvArguments read_v1(std::string_view op, const c10::IValue& value, int spatial_dims) {
  const StateReader state(op, "1", value, 6);
  ConvArguments result;
  result.conv_dims = spatial_dims;
  result.weight = state.tensor(0);
  result.bias = state.optional_tensor(1);
  result.stride = integers_in(state, 2, "stride", spatial_dims);
  result.padding = integers_in(state, 3, "padding", spatial_dims);
  result.dilation = integers_in(state, 4, "dilation", spatial_dims);
  result.output_padding.assign(spatial_dims, 0);
  result.groups = state.integer_in(state.tensor(5), "groups");
  return result;
}

ConvArguments read_v2(std::string_view op, const c10::IValue& value) {
  const StateReader state(op, "2", value, 3);
  const std::vector<at::Tensor> tensors = state.tensors(1);
  state.check_count("element 1", tensors.size(), 2);
  ConvArguments result;
  read_config(state.where(), state.int16_values(tensors[0], "the config"), kFlagTransposed, result);
  result.weight = tensors[1];
  const std::vector<std::optional<at::Tensor>> optional = state.optional_tensors(2);
  // Some releases wrote an empty list where there is no bias.
  QCONV_CHECK_VALUE(
      optional.size() <= 1, state.where(),
      "element 2 must have at most one element (the bias), got ", optional.size());
  result.bias = optional.empty() ? std::nullopt : optional[0];
  return result;
}

ConvArguments read_v3(std::string_view op, const c10::IValue& value) {
  const StateReader state(op, "3", value, 3);
  ConvArguments result;
  read_config(state.where(), state.integers(1), kFlagTransposed, result);
  const std::vector<std::optional<at::Tensor>> tensors = state.optional_tensors(2);
  state.check_count("element 2", tensors.size(), 3);
  QCONV_CHECK_VALUE(
      !tensors[0] && tensors[1], state.where(),
      "element 2 must be [None, weight, bias or None], got ", tensors[0] ? "a tensor" : "None",
      " and then ", tensors[1] ? "a tensor" : "None");
  result.weight = *tensors[1];
  result.bias = tensors[2];
  return result;
}

}  // namespace

SavedConv read_state(std::string_view op, const c10::IValue& state, int spatial_dims) {
  QCONV_CHECK_TYPE(
      state.isTuple() && !state.toTupleRef().elements().empty(), op,
      "state must be a tuple with elements, got ", state.tagKind());
  const c10::IValue& version = state.toTupleRef().elements()[0];
  SavedConv result;
  if (version.isTensor()) {
    result.arguments = read_v1(op, state, spatial_dims);
  } else if (version.isString() && version.toStringRef() == "2") {
    result.arguments = read_v2(op, state);
  } else if (version.isInt() && version.toInt() == 3) {
    result.arguments = read_v3(op, state);
  } else if (version.isString() && version.toStringRef() == kPlainTag) {
    result = read_plain_state(op, state);
  } else {
    QCONV_CHECK_VALUE(
        false, op, "state must begin with a weight tensor (version 1), '2', 3 or '", kPlainTag,
        "', got ",
        version.isString()    ? "'" + version.toStringRef() + "'"
            : version.isInt() ? c10::str(version)
                              : version.tagKind());
  }
  ConvArguments& arguments = result.arguments;
  const int stored_dims = std::max(arguments.conv_dims, 2);
  QCONV_CHECK_VALUE(
      stored_dims == spatial_dims, op, "state of a ", arguments.conv_dims,
      "-D convolution can't be loaded into a ", spatial_dims, "-D object");
  if (!result.engine) {
    QCONV_CHECK_VALUE(
        arguments.conv_dims == spatial_dims, op, "state must store ", spatial_dims,
        " dimensions, got ", arguments.conv_dims);
    arguments.may_run_as_1d = may_have_been_1d(arguments);
  }
  return result;
}

}  // namespace qconv
