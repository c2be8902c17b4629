#include "engines/fbgemm/fbgemm_engine.h"

#include <fbgemm/Fbgemm.h>
#include <torch/version.h>

#include "engines/fbgemm/packed_conv.h"

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
    // FBGEMM counts with int: the packed weight, and the padded size of a transposed kernel.
    constexpr int64_t limit = int64_t{1} << 30;
    const ConvGeometry& geometry = conv.geometry;
    if (geometry.reduction_length() >= limit / geometry.out_channels) {
      return "FBGEMM needs weights of less than 2^30 elements";
    }
    for (int i = 0; i < geometry.spatial_dims(); ++i) {
      if (geometry.dilation[i] * geometry.kernel[i] + 2 * geometry.padding[i] + geometry.stride[i] +
              geometry.output_padding[i] >=
          limit) {
        return "FBGEMM needs kernel extents, strides and padding below 2^30";
      }
    }
    return std::nullopt;
  }

  std::unique_ptr<const PackedConv> pack(
      const std::string&, std::shared_ptr<const ConvDescription> conv,
      const at::Tensor& grouped_weight, const WeightFacts& facts) const override {
    return pack_fbgemm_conv(std::move(conv), grouped_weight, facts);
  }
};

}  // namespace

const Engine& fbgemm_engine() {
  static const FbgemmEngine engine;
  return engine;
}

}  // namespace qconv
