#include "engines/native/native_engine.h"

#include <stdexcept>

#include "engines/native/native_arguments.h"
#include "engines/native/packed_conv.h"
#include "engines/size_limits.h"
#include "native/cpu/instruction_set.h"
#include "native/format/check_convolution.h"
#include "native/format/header.h"
#include "native/run/scratch.h"

namespace qconv {
namespace {

class NativeEngine final : public Engine {
 public:
  const char* name() const override { return "native"; }

  std::string version() const override {
    return "packed format " + std::to_string(native::kFormatVersion);
  }

  std::string instruction_set() const override {
    return why_unavailable() ? "" : native::instruction_set_name(native::best_instruction_set());
  }

  // Asked anew every time: the variable may change.
  std::optional<std::string> wrong_setting() const override {
    try {
      native::best_instruction_set();
      return std::nullopt;
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  }

  std::optional<std::string> why_unavailable() const override { return wrong_setting(); }

  size_t release_scratch() const override { return native::release_scratch(); }

  std::optional<std::string> why_unsupported(const ConvDescription& conv) const override {
    if (std::optional<std::string> reason = why_too_large("native", conv.geometry)) {
      return reason;
    }
    try {
      native::check_convolution(to_native(conv.geometry));
      return std::nullopt;
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  }

  std::unique_ptr<const PackedConv> pack(
      std::string_view op, std::shared_ptr<const ConvDescription> conv,
      const WeightSource& weight) const override {
    return pack_native_conv(op, *conv, weight);
  }
};

}  // namespace

const Engine& native_engine() {
  static const NativeEngine engine;
  return engine;
}

}  // namespace qconv
