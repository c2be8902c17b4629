#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace qconv {

// Calls work(first, count) for runs of at most `longest` pixels, on all threads: shorter ones where
// threads would be left without work. make_work makes one `work`, with its scratch, for a thread.
// Runs are multiples of `tile`.
template <typename MakeWork>
void for_each_run_of_pixels(
    int64_t pixels, int64_t tile, int64_t longest, const MakeWork& make_work) {
  const int64_t per_thread = pixels / (2 * at::get_num_threads());
  const int64_t length = std::clamp(per_thread, tile, std::max(longest, tile)) / tile * tile;
  const int64_t runs = (pixels + length - 1) / length;
  at::parallel_for(0, runs, 1, [&](int64_t begin, int64_t end) {
    auto work = make_work(length);
    for (int64_t run = begin; run < end; ++run) {
      const int64_t first = run * length;
      work(first, std::min(length, pixels - first));
    }
  });
}

}  // namespace qconv
