#include "engines/qnnpack/qnnpack_engine.h"

#include <torch/version.h>

#include "engines/qnnpack/packed_conv.h"
#include "engines/qnnpack/qnnpack_api.h"
#include "engines/size_limits.h"

namespace qconv {
namespace {

std::optional<std::string> initialize() {
  if (pytorch_qnnp_initialize == nullptr || &pytorch_qnnp_params == nullptr) {
    return "this torch was built without QNNPACK";
  }
  if (pytorch_qnnp_initialize() != 0) {
    return "QNNPACK can't run on this CPU";
  }
  // What is declared of QNNPACK is what this torch has inside: kernels' sizes as QNNPACK has known
  // them on any machine.
  const auto& params = pytorch_qnnp_params;
  const bool known = (params.q8conv.mr == 4 || params.q8conv.mr == 8) &&
      (params.q8conv.nr == 4 || params.q8conv.nr == 8) &&
      (params.q8conv.kr == 1 || params.q8conv.kr == 2) && params.q8dw9.cr == 8 &&
      params.q8dw25.cr == 8;
  if (!known) {
    return "the QNNPACK in this torch is another than this package knows";
  }
  return std::nullopt;
}

class QnnpackEngine final : public Engine {
 public:
  const char* name() const override { return "qnnpack"; }

  std::string version() const override { return "inside torch " TORCH_VERSION; }

  std::string instruction_set() const override {
#if defined(__x86_64__) || defined(_M_X64)
    return "sse2";
#else
    return "neon";
#endif
  }

  std::optional<std::string> why_unavailable() const override {
    static const std::optional<std::string> reason = initialize();
    return reason;
  }

  std::optional<std::string> why_unsupported(const ConvDescription& conv) const override {
    return why_too_large("QNNPACK", conv.geometry);
  }

  std::unique_ptr<const PackedConv> pack(
      std::string_view, std::shared_ptr<const ConvDescription> conv,
      const WeightSource& weight) const override {
    return pack_qnnpack_conv(std::move(conv), weight.grouped(), weight.facts());
  }
};

}  // namespace

const Engine& qnnpack_engine() {
  static const QnnpackEngine engine;
  return engine;
}

}  // namespace qconv
