#include "engines/engine_table.h"

#include <ATen/cpu/Utils.h>

#include <algorithm>

#include "engines/fbgemm/fbgemm_engine.h"
#include "engines/native/native_engine.h"
#include "engines/onednn/onednn_engine.h"
#include "engines/qnnpack/qnnpack_engine.h"

namespace qconv {
namespace {

// PyTorch's rule for its engine x86 (aten/src/ATen/native/quantized/cpu/qconv_prepack.cpp): oneDNN
// where AVX512-VNNI makes it exact and fast, FBGEMM for the rest.
bool x86_takes_onednn(const ConvDescription& conv) {
  constexpr int64_t kMostGroups = 100;
  const Dims& output_padding = conv.geometry.output_padding;
  return at::cpu::is_avx512_vnni_supported() && conv.geometry.groups <= kMostGroups &&
      conv.weight.symmetric() &&
      std::all_of(
             output_padding.begin(), output_padding.end(), [](int64_t size) { return size == 0; });
}

std::vector<const Engine*> x86_preference(const ConvDescription& conv) {
  if (x86_takes_onednn(conv)) {
    return {&onednn_engine(), &fbgemm_engine()};
  }
  return {&fbgemm_engine()};
}

// The native engine; x86's choice, then whatever else can, for what it refuses.
std::vector<const Engine*> auto_preference(const ConvDescription& conv) {
  std::vector<const Engine*> engines = x86_preference(conv);
  engines.insert(engines.begin(), &native_engine());
  for (const Engine* engine : all_engines()) {
    if (std::find(engines.begin(), engines.end(), engine) == engines.end()) {
      engines.push_back(engine);
    }
  }
  return engines;
}

}  // namespace

const std::vector<const Engine*>& all_engines() {
  static const std::vector<const Engine*> engines{
      &native_engine(), &fbgemm_engine(), &onednn_engine(), &qnnpack_engine()};
  return engines;
}

const std::vector<Policy>& all_policies() {
  static const std::vector<Policy> policies{{"auto", auto_preference}, {"x86", x86_preference}};
  return policies;
}

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const Policy& policy : all_policies()) {
    names.emplace_back(policy.name);
  }
  for (const Engine* engine : all_engines()) {
    names.emplace_back(engine->name());
  }
  return names;
}

std::vector<EngineRecord> engine_records() {
  std::vector<EngineRecord> records;
  for (const Engine* engine : all_engines()) {
    const std::string reason = engine->why_unavailable().value_or("");
    records.push_back(
        {engine->name(), false, reason.empty(), engine->version(), engine->instruction_set(),
         reason});
  }
  for (const Policy& policy : all_policies()) {
    EngineRecord& record = records.emplace_back();
    record.name = policy.name;
    record.is_policy = true;
  }
  return records;
}

}  // namespace qconv
