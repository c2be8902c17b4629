#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>

#include "native/run/run.h"

namespace qconv::native {

// Calls run_parts(begin, end) on ranges that cover [0, parts), one for each of so many threads.
template <typename RunParts>
void for_each_part(
    const ParallelFor& parallel_for, int threads, int64_t parts, const RunParts& run_parts) {
  const int64_t ranges = std::min<int64_t>(threads, parts);
  if (ranges <= 1 || parallel_for.run == nullptr) {
    run_parts(int64_t{0}, parts);
    return;
  }
  const auto run_ranges = [&](int64_t begin, int64_t end) {
    run_parts(begin * parts / ranges, end * parts / ranges);
  };
  using RunRanges = decltype(run_ranges);
  parallel_for.run(
      ranges,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<const RunRanges*>(context))(begin, end);
      },
      const_cast<std::remove_const_t<RunRanges>*>(&run_ranges));
}

// The same on all of the caller's threads, for parts that are worth one each.
template <typename RunParts>
void for_each_part(const ParallelFor& parallel_for, int64_t parts, const RunParts& run_parts) {
  for_each_part(parallel_for, parallel_for.threads, parts, run_parts);
}

// "8 parts on 2 threads".
inline std::string parts_on_threads(int threads, int64_t parts) {
  return std::to_string(parts) + " parts on " + std::to_string(std::min<int64_t>(threads, parts)) +
      " threads";
}

}  // namespace qconv::native
