// Compiled instead of this folder's other sources where setup.py found no oneDNN.
#include "conv/check.h"
#include "engines/onednn/onednn_engine.h"

namespace qconv {
namespace {

constexpr const char* kReason =
    "torch_qconv_prepack was built without oneDNN; install it (pip install onednn-cpu-gomp "
    "onednn-devel-cpu-gomp) or set ONEDNN_ROOT to where it is, then rebuild";

class MissingOnednnEngine final : public Engine {
 public:
  const char* name() const override { return "onednn"; }
  std::string version() const override { return ""; }
  std::string instruction_set() const override { return ""; }
  std::optional<std::string> why_unavailable() const override { return kReason; }
  std::optional<std::string> why_unsupported(const ConvDescription&) const override {
    return std::nullopt;
  }
  std::unique_ptr<const PackedConv> pack(
      std::string_view op, std::shared_ptr<const ConvDescription>,
      const WeightSource&) const override {
    QCONV_CHECK_IMPLEMENTED(false, op, kReason);
  }
};

}  // namespace

const Engine& onednn_engine() {
  static const MissingOnednnEngine engine;
  return engine;
}

}  // namespace qconv
