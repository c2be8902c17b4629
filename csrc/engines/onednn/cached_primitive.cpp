#include "engines/onednn/cached_primitive.h"

namespace qconv::onednn {

using dnnl::memory;

struct CachedPrimitive::Arguments {
  Arguments(
      const dnnl::primitive_desc& description, const PackedWeight& weight,
      const Constants& constants, bool integral_output)
      : input(description.src_desc(0), cpu(), nullptr),
        output(description.dst_desc(0), cpu(), nullptr),
        scratch(description.scratchpad_desc(), cpu(), nullptr),
        scratch_bytes(description.scratchpad_desc().get_size()) {
    add(DNNL_ARG_SRC, input);
    add(DNNL_ARG_DST, output);
    add(DNNL_ARG_SCRATCHPAD, scratch);
    add(DNNL_ARG_WEIGHTS, weight.memory());
    if (constants.bias != nullptr) {
      add(DNNL_ARG_BIAS,
          memory(description.weights_desc(1), cpu(), const_cast<float*>(constants.bias)));
    }
    add_values(DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC, &input_scale, 1);
    add_values(
        DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, const_cast<float*>(constants.weight_scales.data()),
        constants.weight_scales.size());
    add_values(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, &input_zero_point, 1);
    if (integral_output) {
      add_values(DNNL_ARG_ATTR_SCALES | DNNL_ARG_DST, &output_scale, 1);
      add_values(DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_DST, &output_zero_point, 1);
    }
  }

  void add(int argument, const memory& value) {
    kept.push_back(value);
    list.push_back({argument, value.get()});
  }

  void add_values(int argument, float* values, size_t count) {
    add(argument,
        memory(
            {{static_cast<int64_t>(count)}, memory::data_type::f32, memory::format_tag::x}, cpu(),
            values));
  }

  void add_values(int argument, int32_t* values, size_t count) {
    add(argument,
        memory(
            {{static_cast<int64_t>(count)}, memory::data_type::s32, memory::format_tag::x}, cpu(),
            values));
  }

  float input_scale = 1, output_scale = 1;
  int32_t input_zero_point = 0, output_zero_point = 0;
  memory input, output, scratch;
  const size_t scratch_bytes;
  std::vector<memory> kept;
  std::vector<dnnl_exec_arg_t> list;
};

CachedPrimitive::CachedPrimitive(
    const PrimitiveKey& key, const dnnl::primitive_desc& description,
    std::shared_ptr<const PackedWeight> weight, const Constants& constants)
    : key_(key),
      description_(description),
      primitive_(description),
      weight_(std::move(weight)),
      constants_(constants) {}

CachedPrimitive::~CachedPrimitive() = default;

std::unique_ptr<CachedPrimitive::Arguments> CachedPrimitive::take_arguments() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Arguments> arguments = std::move(idle_.back());
      idle_.pop_back();
      return arguments;
    }
  }
  return std::make_unique<Arguments>(
      description_, *weight_, constants_, c10::isIntegralType(key_.output, /*includeBool=*/false));
}

void CachedPrimitive::run(
    const Activation& input, const OutputQuantization& quantization, void* output) const {
  std::unique_ptr<Arguments> arguments = take_arguments();
  arguments->input_scale = static_cast<float>(input.scale);
  arguments->input_zero_point = input.zero_point;
  arguments->output_scale = static_cast<float>(quantization.scale);
  arguments->output_zero_point = quantization.zero_point;
  arguments->input.set_data_handle(const_cast<uint8_t*>(input.data));
  arguments->output.set_data_handle(output);
  arguments->scratch.set_data_handle(scratchpad(arguments->scratch_bytes));
  check(
      dnnl_primitive_execute(
          primitive_.get(), stream().get(), static_cast<int>(arguments->list.size()),
          arguments->list.data()),
      "could not run a convolution");
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(arguments));
}

}  // namespace qconv::onednn
