#include "engines/onednn/onednn_engine.h"

#include "engines/onednn/implementation_guard.h"
#include "engines/onednn/library.h"
#include "engines/onednn/packed_conv.h"
#include "engines/size_limits.h"

// PyTorch ships the headers of another oneDNN without its library: setup.py must put ours first.
static_assert(
    DNNL_VERSION_MAJOR == QCONV_ONEDNN_MAJOR && DNNL_VERSION_MINOR == QCONV_ONEDNN_MINOR,
    "the oneDNN headers included are not those that setup.py found; ONEDNN_ROOT must not be a "
    "prefix whose include/ is a standard one of the compiler's");
static_assert(
    DNNL_VERSION_MAJOR == 3 && DNNL_VERSION_MINOR >= 2, "oneDNN must be >= 3.2 and below 4");

namespace qconv {
namespace {

class OnednnEngine final : public Engine {
 public:
  const char* name() const override { return "onednn"; }

  std::string version() const override { return onednn::version_string(); }

  std::string instruction_set() const override { return onednn::instruction_set(); }

  std::optional<std::string> why_unavailable() const override {
    const dnnl_version_t& loaded = *dnnl_version();
    if (loaded.major != DNNL_VERSION_MAJOR || loaded.minor < 2) {
      return "oneDNN must be >= 3.2 and below 4, got " + onednn::version_string();
    }
    return std::nullopt;
  }

  size_t release_scratch() const override { return onednn::release_scratchpad(); }

  std::optional<std::string> why_unsupported(const ConvDescription& conv) const override {
    if (!conv.weight.symmetric()) {
      return "oneDNN needs weights whose zero points are all 0";
    }
    return why_too_large("oneDNN", conv.geometry);
  }

  std::unique_ptr<const PackedConv> pack(
      std::string_view op, std::shared_ptr<const ConvDescription> conv,
      const WeightSource& weight) const override {
    return onednn::with_clear_errors(op, [&] {
      return onednn::pack_conv(op, std::move(conv), weight.grouped(), weight.facts());
    });
  }
};

}  // namespace

const Engine& onednn_engine() {
  static const OnednnEngine engine;
  return engine;
}

}  // namespace qconv
