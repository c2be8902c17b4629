#include "drop_in/overrides.h"

#include <ATen/core/boxing/BoxedKernel.h>

#include <optional>

#include "drop_in/add_kernel.h"
#include "drop_in/prepack_kernel.h"
#include "drop_in/run_kernel.h"
#include "drop_in/stock_kernels.h"
#include "ops/ops.h"

namespace qconv {
namespace {

using Conv1d = ConvOps<1, false>;
using Conv2d = ConvOps<2, false>;
using Conv3d = ConvOps<3, false>;
using ConvTranspose1d = ConvOps<1, true>;
using ConvTranspose2d = ConvOps<2, true>;
using ConvTranspose3d = ConvOps<3, true>;

// The key under which PyTorch registers an op's kernel.
constexpr c10::DispatchKey kQuantized = c10::DispatchKey::QuantizedCPU;
constexpr c10::DispatchKey kFloat = c10::DispatchKey::CPU;
constexpr c10::DispatchKey kAny = c10::DispatchKey::CompositeImplicitAutograd;

struct Override {
  const char* name;
  const char* overload;
  c10::DispatchKey key;
  KernelCode* code;
};

template <int kDims>
constexpr KernelCode* kPacks = &drop_in_prepack<&DropInPrepack<kDims, false>::forward>;

template <int kDims>
constexpr KernelCode* kPacksTransposed = &drop_in_prepack<&DropInPrepack<kDims, true>::transposed>;

template <auto kFunction>
constexpr KernelCode* kRuns = &DropInRun<kFunction>::call;

template <auto kFunction>
constexpr KernelCode* kAdds = &drop_in_add<kFunction>;

template <int kDims>
constexpr KernelCode* kUnpacks = &DropInRun<&unpack_any<kDims>>::call;

constexpr KernelCode* kTells = &call_in_stock_guise;

// Every op of PyTorch's that makes or takes packed params of convolutions, but for two that it
// declares without a kernel: _quantized::conv3d and conv3d_relu.
constexpr Override kOverrides[] = {
    // clang-format off
    // Prepack
    {"quantized::conv_prepack", "", kQuantized, kPacks<2>},
    {"quantized::conv1d_prepack", "", kQuantized, kPacks<1>},
    {"quantized::conv2d_prepack", "", kQuantized, kPacks<2>},
    {"quantized::conv3d_prepack", "", kQuantized, kPacks<3>},
    {"quantized::conv_transpose1d_prepack", "", kQuantized, kPacksTransposed<1>},
    {"quantized::conv_transpose2d_prepack", "", kQuantized, kPacksTransposed<2>},
    {"quantized::conv_transpose3d_prepack", "", kQuantized, kPacksTransposed<3>},
    {"_quantized::conv2d_prepack", "", kQuantized, kPacks<2>},
    {"_quantized::conv3d_prepack", "", kQuantized, kPacks<3>},
    {"_quantized::conv_transpose1d_prepack", "", kQuantized, kPacksTransposed<1>},
    {"_quantized::conv_transpose2d_prepack", "", kQuantized, kPacksTransposed<2>},
    {"_quantized::conv_transpose3d_prepack", "", kQuantized, kPacksTransposed<3>},
    // Run
    {"quantized::conv1d", "", kQuantized, kRuns<&Conv1d::run<PostOp::kNone>>},
    {"quantized::conv2d", "new", kQuantized, kRuns<&Conv2d::run<PostOp::kNone>>},
    {"quantized::conv3d", "new", kQuantized, kRuns<&Conv3d::run<PostOp::kNone>>},
    {"quantized::conv1d_relu", "", kQuantized, kRuns<&Conv1d::run<PostOp::kRelu>>},
    {"quantized::conv2d_relu", "new", kQuantized, kRuns<&Conv2d::run<PostOp::kRelu>>},
    {"quantized::conv3d_relu", "new", kQuantized, kRuns<&Conv3d::run<PostOp::kRelu>>},
    {"quantized::conv_transpose1d", "", kQuantized, kRuns<&ConvTranspose1d::run<PostOp::kNone>>},
    {"quantized::conv_transpose2d", "", kQuantized, kRuns<&ConvTranspose2d::run<PostOp::kNone>>},
    {"quantized::conv_transpose3d", "", kQuantized, kRuns<&ConvTranspose3d::run<PostOp::kNone>>},
    {"_quantized::conv2d", "", kQuantized, kRuns<&Conv2d::run<PostOp::kNone>>},
    {"_quantized::conv2d_relu", "", kQuantized, kRuns<&Conv2d::run<PostOp::kRelu>>},
    {"_quantized::conv_transpose1d", "", kQuantized, kRuns<&ConvTranspose1d::run<PostOp::kNone>>},
    {"_quantized::conv_transpose2d", "", kQuantized, kRuns<&ConvTranspose2d::run<PostOp::kNone>>},
    // Run, the older form with the packed arguments repeated
    {"quantized::conv2d", "", kQuantized, kRuns<&Conv2d::run_with_arguments<PostOp::kNone>>},
    {"quantized::conv3d", "", kQuantized, kRuns<&Conv3d::run_with_arguments<PostOp::kNone>>},
    {"quantized::conv2d_relu", "", kQuantized, kRuns<&Conv2d::run_with_arguments<PostOp::kRelu>>},
    {"quantized::conv3d_relu", "", kQuantized, kRuns<&Conv3d::run_with_arguments<PostOp::kRelu>>},
    // Run and add a tensor
    {"quantized::conv2d_add", "", kQuantized, kAdds<&Conv2d::run_add<PostOp::kNone>>},
    {"quantized::conv2d_add_relu", "", kQuantized, kAdds<&Conv2d::run_add<PostOp::kRelu>>},
    // Run on float activations
    {"quantized::conv1d_dynamic", "", kFloat, kRuns<&Conv1d::run_dynamic>},
    {"quantized::conv2d_dynamic", "", kFloat, kRuns<&Conv2d::run_dynamic>},
    {"quantized::conv3d_dynamic", "", kFloat, kRuns<&Conv3d::run_dynamic>},
    {"quantized::conv_transpose1d_dynamic", "", kFloat, kRuns<&ConvTranspose1d::run_dynamic>},
    {"quantized::conv_transpose2d_dynamic", "", kFloat, kRuns<&ConvTranspose2d::run_dynamic>},
    {"quantized::conv_transpose3d_dynamic", "", kFloat, kRuns<&ConvTranspose3d::run_dynamic>},
    // Unpack
    {"quantized::conv_unpack", "", kAny, kUnpacks<2>},
    {"quantized::conv1d_unpack", "", kAny, kUnpacks<1>},
    {"quantized::conv2d_unpack", "", kAny, kUnpacks<2>},
    {"quantized::conv3d_unpack", "", kAny, kUnpacks<3>},
    {"quantized::conv_transpose1d_unpack", "", kAny, kUnpacks<1>},
    {"quantized::conv_transpose2d_unpack", "", kAny, kUnpacks<2>},
    {"quantized::conv_transpose3d_unpack", "", kAny, kUnpacks<3>},
    // Tell what was packed
    {"quantized::conv2d_unpack_sizes", "", kAny, kTells},
    {"quantized::conv2d_stride", "", kAny, kTells},
    {"quantized::conv2d_padding", "", kAny, kTells},
    {"quantized::conv2d_output_padding", "", kAny, kTells},
    {"quantized::conv2d_dilation", "", kAny, kTells},
    {"quantized::conv2d_groups", "", kAny, kTells},
    {"quantized::conv2d_transpose", "", kAny, kTells},
    {"quantized::conv3d_stride", "", kAny, kTells},
    {"quantized::conv3d_padding", "", kAny, kTells},
    {"quantized::conv3d_output_padding", "", kAny, kTells},
    {"quantized::conv3d_dilation", "", kAny, kTells},
    {"quantized::conv3d_groups", "", kAny, kTells},
    {"quantized::conv3d_transpose", "", kAny, kTells},
    {"quantized::conv_transpose2d_stride", "", kAny, kTells},
    {"quantized::conv_transpose2d_padding", "", kAny, kTells},
    {"quantized::conv_transpose2d_output_padding", "", kAny, kTells},
    {"quantized::conv_transpose2d_dilation", "", kAny, kTells},
    {"quantized::conv_transpose2d_groups", "", kAny, kTells},
    {"quantized::conv_transpose2d_transpose", "", kAny, kTells},
    {"quantized::conv_transpose3d_stride", "", kAny, kTells},
    {"quantized::conv_transpose3d_padding", "", kAny, kTells},
    {"quantized::conv_transpose3d_output_padding", "", kAny, kTells},
    {"quantized::conv_transpose3d_dilation", "", kAny, kTells},
    {"quantized::conv_transpose3d_groups", "", kAny, kTells},
    {"quantized::conv_transpose3d_transpose", "", kAny, kTells},
    // clang-format on
};

// torch warns when a kernel is overridden, which is what we are asked to do.
class Silence final : public c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

}  // namespace

std::vector<c10::RegistrationHandleRAII> override_ops() {
  c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
  Silence silence;
  const c10::WarningUtils::WarningHandlerGuard guard(&silence);
  [[maybe_unused]] static const bool kept = [&dispatcher] {
    for (const Override& entry : kOverrides) {
      keep_stock_kernel(dispatcher.findSchemaOrThrow(entry.name, entry.overload), entry.key);
    }
    return true;
  }();
  std::vector<c10::RegistrationHandleRAII> handles;
  for (const Override& entry : kOverrides) {
    const c10::OperatorHandle op = dispatcher.findSchemaOrThrow(entry.name, entry.overload);
    handles.push_back(dispatcher.registerImpl(
        op.operator_name(), entry.key, with_code(op, entry.code), std::nullopt, nullptr,
        "torch_qconv_prepack's drop-in mode"));
  }
  return handles;
}

}  // namespace qconv
