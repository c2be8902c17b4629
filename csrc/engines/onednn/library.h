#pragma once

#include <oneapi/dnnl/dnnl_debug.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <string>
#include <string_view>

#include "conv/check.h"

namespace qconv::onednn {

// One for the process, as oneDNN wants it.
const dnnl::engine& cpu();

// This thread's.
const dnnl::stream& stream();

// Raises dnnl::error.
void check(dnnl_status_t status, const char* doing);

// 64-byte aligned memory of this thread for what a primitive needs while it runs. Small ones are
// kept for the thread's next call.
void* scratchpad(size_t bytes);

// Frees it; returns how many bytes.
size_t release_scratchpad();

std::string version_string();  // "3.2.0"

// Calls use(), and turns what oneDNN throws into NotImplementedError.
template <typename Use>
auto with_clear_errors(std::string_view op, const Use& use) {
  try {
    return use();
  } catch (const dnnl::error& error) {
    QCONV_CHECK_IMPLEMENTED(
        false, op, "oneDNN ", version_string(), " failed (", error.what(), ", status ",
        dnnl_status2str(error.status), "); pack with another engine");
  }
}

}  // namespace qconv::onednn
