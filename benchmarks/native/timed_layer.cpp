// One convolution of the native core through its C interface, on one thread, for
// benchmarks/core_layer.py to time beside other contestants. A shared library, loaded there.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "native/qconv_native.h"

namespace {

struct TimedLayer {
  TimedLayer() = default;
  TimedLayer(const TimedLayer&) = delete;
  TimedLayer& operator=(const TimedLayer&) = delete;
  ~TimedLayer() {
    qconv_close(packed);
    std::free(buffer);
  }

  bool succeeded(qconv_status status) {
    if (status != QCONV_OK) {
      std::fprintf(stderr, "timed_layer: %s\n", message);
    }
    return status == QCONV_OK;
  }

  bool pack(const qconv_convolution& conv, const qconv_weight& weight) {
    size_t size = 0;
    if (!succeeded(qconv_packed_size(&conv, &weight, &size, message, sizeof message))) {
      return false;
    }
    buffer = std::aligned_alloc(64, (size + 63) / 64 * 64);
    return buffer != nullptr &&
        succeeded(qconv_pack(&conv, &weight, buffer, size, message, sizeof message)) &&
        succeeded(qconv_open(buffer, size, 0, &packed, message, sizeof message));
  }

  bool run() {
    return succeeded(
        qconv_run(packed, &input, &epilogue, &output, nullptr, message, sizeof message));
  }

  void* buffer = nullptr;
  qconv_packed* packed = nullptr;
  qconv_input input{};
  qconv_epilogue epilogue{};
  qconv_output output{};
  char message[256] = {};
};

}  // namespace

extern "C" {

// channels: in, out, groups; shape: kernel, stride, padding, dilation, input size, each depth,
// height, width. Weights have a scale per output channel. The caller keeps activation and output
// alive. Null where it failed, having said why.
QCONV_NATIVE_API TimedLayer* timed_layer_open(
    const int64_t* channels, const int64_t* shape, int64_t batch, const int8_t* weight,
    const double* scales, const float* bias, const uint8_t* activation, double input_scale,
    int32_t input_zero_point, uint8_t* output, double output_scale, int32_t output_zero_point) {
  auto layer = std::make_unique<TimedLayer>();
  qconv_convolution conv{};
  conv.in_channels = channels[0];
  conv.out_channels = channels[1];
  conv.groups = channels[2];
  conv.spatial_dims = 3;
  for (int d = 0; d < 3; ++d) {
    conv.kernel[d] = shape[d];
    conv.stride[d] = shape[3 + d];
    conv.padding[d] = shape[6 + d];
    conv.dilation[d] = shape[9 + d];
    layer->input.size[d] = shape[12 + d];
  }
  qconv_weight source{};
  source.data = weight;
  source.scales = scales;
  source.scales_per_channel = 1;
  source.bias = bias;
  layer->input.data = activation;
  layer->input.batch = batch;
  layer->input.scale = input_scale;
  layer->input.zero_point = input_zero_point;
  layer->epilogue.function = QCONV_RELU;
  layer->output = {output, QCONV_UINT8, output_scale, output_zero_point};
  return layer->pack(conv, source) ? layer.release() : nullptr;
}

// Microseconds that each of so many runs takes; negative where one failed.
QCONV_NATIVE_API double timed_layer_run(TimedLayer* layer, int64_t runs) {
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < runs; ++i) {
    if (!layer->run()) {
      return -1;
    }
  }
  const auto time = std::chrono::steady_clock::now() - begin;
  return std::chrono::duration<double, std::micro>(time).count() / static_cast<double>(runs);
}

QCONV_NATIVE_API void timed_layer_close(TimedLayer* layer) {
  delete layer;
}

}  // extern "C"
