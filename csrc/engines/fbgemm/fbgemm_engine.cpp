#include "engines/fbgemm/fbgemm_engine.h"

#include <fbgemm/Fbgemm.h>
#include <torch/version.h>

#include "engines/fbgemm/packed_conv.h"
#include "engines/size_limits.h"

namespace qconv {
namespace {

class FbgemmEngine final : public Engine {
 public:
  const char* name() const override { return "fbgemm"; }

  std::string version() const override { return "inside torch " TORCH_VERSION; }

  std::string instruction_set() const override {
    using ::fbgemm::inst_set_t;
    switch (::fbgemm::fbgemmInstructionSet()) {
      case inst_set_t::avx512_vnni:
      case inst_set_t::avx512_vnni_ymm:
        return "avx512_vnni";
      case inst_set_t::avx512:
      case inst_set_t::avx512_ymm:
        return "avx512";
      case inst_set_t::avx2:
        return "avx2";
      default:
        return "";
    }
  }

  std::optional<std::string> why_unavailable() const override {
    if (!::fbgemm::fbgemmSupportedCPU()) {
      return "FBGEMM needs a CPU with AVX2";
    }
    return std::nullopt;
  }

  std::optional<std::string> why_unsupported(const ConvDescription& conv) const override {
    return why_too_large("FBGEMM", conv.geometry);
  }

  std::unique_ptr<const PackedConv> pack(
      std::string_view, std::shared_ptr<const ConvDescription> conv,
      const WeightSource& weight) const override {
    return pack_fbgemm_conv(std::move(conv), weight.grouped(), weight.facts());
  }
};

}  // namespace

const Engine& fbgemm_engine() {
  static const FbgemmEngine engine;
  return engine;
}

}  // namespace qconv
