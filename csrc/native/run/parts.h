#pragma once

#include <cstdint>
#include <string>

#include "native/run/run.h"

namespace qconv::native {

// Calls run_parts(begin, end) on ranges that cover [0, parts), on the caller's threads if it gave
// any.
template <typename RunParts>
void for_each_part(const ParallelFor& parallel_for, int64_t parts, const RunParts& run_parts) {
  if (parts <= 1 || parallel_for.run == nullptr) {
    run_parts(int64_t{0}, parts);
    return;
  }
  parallel_for.run(
      parts,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<const RunParts*>(context))(begin, end);
      },
      const_cast<RunParts*>(&run_parts));
}

// "8 parts on 2 threads".
inline std::string parts_on_threads(const ParallelFor& parallel_for, int64_t parts) {
  return std::to_string(parts) + " parts on " + std::to_string(parallel_for.threads) + " threads";
}

}  // namespace qconv::native
