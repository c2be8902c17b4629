// What becomes of a convolution's sums, one thread, warm: microseconds of a layer with ReLU to
// uint8, and how many times as long it takes with other inputs, outputs, addends and functions. The
// fastest of interleaved rounds: what else runs on the machine only ever adds time.
//
//   bench_epilogues [instruction set] [rounds]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "native/run/run.h"
#include "random_layer.h"

namespace qconv::native {
namespace {

struct Layer {
  const char* name;
  int64_t in_channels, out_channels, kernel, stride, size;
  bool depthwise = false;
};

constexpr Layer kLayers[] = {
    {"64->256 1x1 56", 64, 256, 1, 1, 56},      {"128->512 1x1 28", 128, 512, 1, 1, 28},
    {"256->1024 1x1 14", 256, 1024, 1, 1, 14},  {"512->2048 1x1 7", 512, 2048, 1, 1, 7},
    {"64->64 3x3 56", 64, 64, 3, 1, 56},        {"256->256 3x3 14", 256, 256, 3, 1, 14},
    {"96->24 1x1 56", 96, 24, 1, 1, 56},        {"576->96 1x1 14", 576, 96, 1, 1, 14},
    {"32->192 1x1 28", 32, 192, 1, 1, 28},      {"144 dw 3x3 56", 144, 144, 3, 1, 56, true},
    {"240 dw 5x5 28", 240, 240, 5, 1, 28, true}};

struct Variant {
  const char* name;
  PointwiseFunction function;
  ElementType output = ElementType::kUint8;
  ElementType input = ElementType::kUint8;
  bool adds = false;
  ElementType addend = ElementType::kUint8;
};

constexpr ElementType kU8 = ElementType::kUint8;
constexpr ElementType kS8 = ElementType::kInt8;
constexpr Variant kVariants[] = {
    {"relu", PointwiseFunction::kRelu},
    {"add+relu", PointwiseFunction::kRelu, kU8, kU8, true},
    {"s8 add", PointwiseFunction::kRelu, kU8, kU8, true, kS8},
    {"s8 out", PointwiseFunction::kRelu, kS8},
    {"s8 in", PointwiseFunction::kRelu, kU8, kS8},
    {"f32 out", PointwiseFunction::kNone, ElementType::kFloat32},
    {"bf16 out", PointwiseFunction::kNone, ElementType::kBfloat16},
    {"f32 add", PointwiseFunction::kRelu, kU8, kU8, true, ElementType::kFloat32},
    {"leaky", PointwiseFunction::kLeakyRelu},
    {"hardswish", PointwiseFunction::kHardswish},
    {"swish", PointwiseFunction::kSwish},
    {"sigmoid", PointwiseFunction::kSigmoid},
    {"gelu", PointwiseFunction::kGelu},
    {"gelu tanh", PointwiseFunction::kGeluTanh}};

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void measure(const Layer& layer, int rounds) {
  const RandomLayer random(
      layer.in_channels, layer.out_channels, layer.depthwise ? layer.in_channels : 1, layer.kernel,
      layer.stride, layer.size, 0.001, 0.1F);
  const PackedView& packed = random.packed;
  RunInput input = random.input;
  const Extent& size = random.output_extent;
  const auto elements = static_cast<size_t>(size[1] * size[2] * layer.out_channels);
  std::vector<float> memory(elements);
  std::vector<float> addend(elements, 0.5F);
  std::vector<double> fastest;
  for (int round = 0; round < rounds; ++round) {
    fastest.resize(std::size(kVariants), 1);
    for (size_t i = 0; i < std::size(kVariants); ++i) {
      const Variant& variant = kVariants[i];
      input.type = variant.input;
      Epilogue epilogue;
      epilogue.function = variant.function;
      epilogue.slope = 0.1;
      if (variant.adds) {
        epilogue.addend = {addend.data(), variant.addend, 0.02, 3};
      }
      const RunOutput output{memory.data(), variant.output, 0.05, 10};
      run(packed, input, epilogue, output, {});
      for (int repeat = 0; repeat < 3; ++repeat) {
        const double begin = seconds();
        run(packed, input, epilogue, output, {});
        fastest[i] = std::min(fastest[i], seconds() - begin);
      }
    }
  }
  std::printf("%-17s %9.1f", layer.name, fastest[0] * 1e6);
  for (size_t i = 1; i < fastest.size(); ++i) {
    std::printf(" %9.2f", fastest[i] / fastest[0]);
  }
  std::printf("\n");
}

void measure_all(int rounds) {
  std::printf("%-17s %9s", "", "relu, us");
  for (size_t i = 1; i < std::size(kVariants); ++i) {
    std::printf(" %9s", kVariants[i].name);
  }
  std::printf("\n");
  for (const Layer& layer : kLayers) {
    measure(layer, rounds);
  }
}

}  // namespace
}  // namespace qconv::native

int main(int argc, char** argv) {
  if (argc > 1) {
    setenv("TORCH_QCONV_ISA", argv[1], 1);
  }
  qconv::native::measure_all(argc > 2 ? std::atoi(argv[2]) : 100);
  return 0;
}
