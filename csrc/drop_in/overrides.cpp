#include "drop_in/overrides.h"

#include <ATen/core/boxing/BoxedKernel.h>

#include <string>
#include <utility>

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
  c10::KernelFunction kernel;
};

template <typename Ops>
c10::KernelFunction packs() {
  return c10::KernelFunction::makeFromBoxedFunction<&Boxed<&DropInPrepack<Ops>::forward>::call>();
}

template <typename Ops>
c10::KernelFunction packs_transposed() {
  return c10::KernelFunction::makeFromBoxedFunction<
      &Boxed<&DropInPrepack<Ops>::transposed>::call>();
}

template <auto kFunction>
c10::KernelFunction runs() {
  return c10::KernelFunction::makeFromBoxedFunction<&DropInRun<kFunction>::call>();
}

c10::KernelFunction tells() {
  return c10::KernelFunction::makeFromBoxedFunction<&call_in_stock_guise>();
}

// Every op of PyTorch's that makes or takes packed params of convolutions.
std::vector<Override> overrides() {
  return {
      // clang-format off
      // Prepack
      {"quantized::conv_prepack", "", kQuantized, packs<Conv2d>()},
      {"quantized::conv1d_prepack", "", kQuantized, packs<Conv1d>()},
      {"quantized::conv2d_prepack", "", kQuantized, packs<Conv2d>()},
      {"quantized::conv3d_prepack", "", kQuantized, packs<Conv3d>()},
      {"quantized::conv_transpose1d_prepack", "", kQuantized, packs_transposed<ConvTranspose1d>()},
      {"quantized::conv_transpose2d_prepack", "", kQuantized, packs_transposed<ConvTranspose2d>()},
      {"quantized::conv_transpose3d_prepack", "", kQuantized, packs_transposed<ConvTranspose3d>()},
      {"_quantized::conv2d_prepack", "", kQuantized, packs<Conv2d>()},
      {"_quantized::conv3d_prepack", "", kQuantized, packs<Conv3d>()},
      {"_quantized::conv_transpose1d_prepack", "", kQuantized, packs_transposed<ConvTranspose1d>()},
      {"_quantized::conv_transpose2d_prepack", "", kQuantized, packs_transposed<ConvTranspose2d>()},
      {"_quantized::conv_transpose3d_prepack", "", kQuantized, packs_transposed<ConvTranspose3d>()},
      // Run
      {"quantized::conv1d", "", kQuantized, runs<&Conv1d::run<PostOp::kNone>>()},
      {"quantized::conv2d", "new", kQuantized, runs<&Conv2d::run<PostOp::kNone>>()},
      {"quantized::conv3d", "new", kQuantized, runs<&Conv3d::run<PostOp::kNone>>()},
      {"quantized::conv1d_relu", "", kQuantized, runs<&Conv1d::run<PostOp::kRelu>>()},
      {"quantized::conv2d_relu", "new", kQuantized, runs<&Conv2d::run<PostOp::kRelu>>()},
      {"quantized::conv3d_relu", "new", kQuantized, runs<&Conv3d::run<PostOp::kRelu>>()},
      {"quantized::conv_transpose1d", "", kQuantized, runs<&ConvTranspose1d::run<PostOp::kNone>>()},
      {"quantized::conv_transpose2d", "", kQuantized, runs<&ConvTranspose2d::run<PostOp::kNone>>()},
      {"quantized::conv_transpose3d", "", kQuantized, runs<&ConvTranspose3d::run<PostOp::kNone>>()},
      {"_quantized::conv2d", "", kQuantized, runs<&Conv2d::run<PostOp::kNone>>()},
      {"_quantized::conv3d", "", kQuantized, runs<&Conv3d::run<PostOp::kNone>>()},
      {"_quantized::conv2d_relu", "", kQuantized, runs<&Conv2d::run<PostOp::kRelu>>()},
      {"_quantized::conv3d_relu", "", kQuantized, runs<&Conv3d::run<PostOp::kRelu>>()},
      {"_quantized::conv_transpose1d", "", kQuantized, runs<&ConvTranspose1d::run<PostOp::kNone>>()},
      {"_quantized::conv_transpose2d", "", kQuantized, runs<&ConvTranspose2d::run<PostOp::kNone>>()},
      // Run, the older form with the packed arguments repeated
      {"quantized::conv2d", "", kQuantized, runs<&Conv2d::run_with_arguments<PostOp::kNone>>()},
      {"quantized::conv3d", "", kQuantized, runs<&Conv3d::run_with_arguments<PostOp::kNone>>()},
      {"quantized::conv2d_relu", "", kQuantized, runs<&Conv2d::run_with_arguments<PostOp::kRelu>>()},
      {"quantized::conv3d_relu", "", kQuantized, runs<&Conv3d::run_with_arguments<PostOp::kRelu>>()},
      // Run and add a tensor
      {"quantized::conv2d_add", "", kQuantized, runs<&Conv2d::run_add<PostOp::kNone>>()},
      {"quantized::conv2d_add_relu", "", kQuantized, runs<&Conv2d::run_add<PostOp::kRelu>>()},
      // Run on float activations
      {"quantized::conv1d_dynamic", "", kFloat, runs<&Conv1d::run_dynamic>()},
      {"quantized::conv2d_dynamic", "", kFloat, runs<&Conv2d::run_dynamic>()},
      {"quantized::conv3d_dynamic", "", kFloat, runs<&Conv3d::run_dynamic>()},
      {"quantized::conv_transpose1d_dynamic", "", kFloat, runs<&ConvTranspose1d::run_dynamic>()},
      {"quantized::conv_transpose2d_dynamic", "", kFloat, runs<&ConvTranspose2d::run_dynamic>()},
      {"quantized::conv_transpose3d_dynamic", "", kFloat, runs<&ConvTranspose3d::run_dynamic>()},
      // Unpack
      {"quantized::conv_unpack", "", kAny, runs<&Conv2d::unpack>()},
      {"quantized::conv1d_unpack", "", kAny, runs<&Conv1d::unpack>()},
      {"quantized::conv2d_unpack", "", kAny, runs<&Conv2d::unpack>()},
      {"quantized::conv3d_unpack", "", kAny, runs<&Conv3d::unpack>()},
      {"quantized::conv_transpose1d_unpack", "", kAny, runs<&ConvTranspose1d::unpack>()},
      {"quantized::conv_transpose2d_unpack", "", kAny, runs<&ConvTranspose2d::unpack>()},
      {"quantized::conv_transpose3d_unpack", "", kAny, runs<&ConvTranspose3d::unpack>()},
      // Tell what was packed
      {"quantized::conv2d_unpack_sizes", "", kAny, tells()},
      {"quantized::conv2d_stride", "", kAny, tells()},
      {"quantized::conv2d_padding", "", kAny, tells()},
      {"quantized::conv2d_output_padding", "", kAny, tells()},
      {"quantized::conv2d_dilation", "", kAny, tells()},
      {"quantized::conv2d_groups", "", kAny, tells()},
      {"quantized::conv2d_transpose", "", kAny, tells()},
      {"quantized::conv3d_stride", "", kAny, tells()},
      {"quantized::conv3d_padding", "", kAny, tells()},
      {"quantized::conv3d_output_padding", "", kAny, tells()},
      {"quantized::conv3d_dilation", "", kAny, tells()},
      {"quantized::conv3d_groups", "", kAny, tells()},
      {"quantized::conv3d_transpose", "", kAny, tells()},
      {"quantized::conv_transpose2d_stride", "", kAny, tells()},
      {"quantized::conv_transpose2d_padding", "", kAny, tells()},
      {"quantized::conv_transpose2d_output_padding", "", kAny, tells()},
      {"quantized::conv_transpose2d_dilation", "", kAny, tells()},
      {"quantized::conv_transpose2d_groups", "", kAny, tells()},
      {"quantized::conv_transpose2d_transpose", "", kAny, tells()},
      {"quantized::conv_transpose3d_stride", "", kAny, tells()},
      {"quantized::conv_transpose3d_padding", "", kAny, tells()},
      {"quantized::conv_transpose3d_output_padding", "", kAny, tells()},
      {"quantized::conv_transpose3d_dilation", "", kAny, tells()},
      {"quantized::conv_transpose3d_groups", "", kAny, tells()},
      {"quantized::conv_transpose3d_transpose", "", kAny, tells()},
      // clang-format on
  };
}

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
    for (const Override& entry : overrides()) {
      keep_stock_kernel(dispatcher.findSchemaOrThrow(entry.name, entry.overload), entry.key);
    }
    return true;
  }();
  std::vector<c10::RegistrationHandleRAII> handles;
  for (Override& entry : overrides()) {
    handles.push_back(dispatcher.registerImpl(
        {entry.name, entry.overload}, entry.key, std::move(entry.kernel), std::nullopt, nullptr,
        "torch_qconv_prepack's drop-in mode"));
  }
  return handles;
}

}  // namespace qconv
