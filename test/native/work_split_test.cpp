// How a run is cut into parts for threads: completely, evenly, and not where it is too short.
#include "native/run/work_split.h"

#include <algorithm>

#include "check.h"
#include "native/format/packed_view.h"
#include "native/kernels/kernel_set.h"
#include "native/rounding.h"
#include "native/run/conv_run.h"
#include "native/run/parts.h"
#include "native/run/thread_count.h"
#include "packing.h"

namespace qconv::native::test {
namespace {

const Test kCoverage("parts cover all rows and blocks, and none has more rows than it may", [] {
  for (int64_t planes : {1, 3, 16}) {
    for (int64_t rows : {1, 2, 7, 14, 15, 56, 3136}) {
      for (int64_t blocks : {1, 2, 3, 8, 129}) {
        for (int64_t wanted : {int64_t{1}, int64_t{5}, rows}) {
          for (int threads : {1, 2, 3, 8, 64}) {
            const int64_t most_rows = std::min(wanted, rows);
            const WorkSplit split = split_work(planes, rows, blocks, most_rows, threads);
            CHECK_EQUAL(split.rows_per_part >= 1 && split.rows_per_part <= most_rows, true);
            CHECK_EQUAL(split.blocks_per_part >= 1 && split.blocks_per_part <= blocks, true);
            CHECK_EQUAL(split.row_parts, ceil_divide(rows, split.rows_per_part));
            CHECK_EQUAL(split.block_parts, ceil_divide(blocks, split.blocks_per_part));
          }
        }
      }
    }
  }
});

const Test kBalance("the busiest thread has at most 15 % more than its share of a layer", [] {
  struct Layer {
    int64_t rows, blocks;
  };
  for (const Layer& layer : {Layer{56, 4}, {28, 8}, {14, 16}, {7, 32}, {3136, 16}, {49, 128}}) {
    for (int threads : {2, 4, 8, 16}) {
      const WorkSplit split = split_work(1, layer.rows, layer.blocks, layer.rows, threads);
      const int64_t parts = split.row_parts * split.block_parts;
      const int64_t busiest =
          ceil_divide(parts, threads) * split.rows_per_part * split.blocks_per_part;
      CHECK_EQUAL(busiest * threads * 100 <= layer.rows * layer.blocks * 115, true);
    }
  }
});

const Test kRanges("every part is run once, on as many ranges as there are threads", [] {
  static int ranges;
  ParallelFor parallel_for;
  parallel_for.run = [](int64_t count, ParallelFor::Body body, void* context) {
    ranges = static_cast<int>(count);
    for (int64_t i = 0; i < count; ++i) {
      body(context, i, i + 1);
    }
  };
  for (int threads : {1, 2, 3, 16}) {
    for (int64_t parts : {0, 1, 2, 5, 16, 100}) {
      ranges = 1;
      std::vector<int> runs(static_cast<size_t>(parts));
      for_each_part(parallel_for, threads, parts, [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part) {
          ++runs[static_cast<size_t>(part)];
        }
      });
      CHECK_EQUAL(std::count(runs.begin(), runs.end(), 1), parts);
      CHECK_EQUAL(ranges, std::max<int64_t>(1, std::min<int64_t>(threads, parts)));
    }
  }
});

// Of 16 threads, for a square image.
int threads_for(int64_t channels, int64_t kernel, int64_t size, int64_t groups, int threads = 16) {
  PackedView packed;
  packed.conv = conv2d(channels, channels, kernel, kernel, groups);
  packed.layout = layout_of(packed.conv);
  RunInput input;
  input.batch = 1;
  ParallelFor parallel_for;
  parallel_for.threads = threads;
  const RunPhases phases(packed.conv, {1, size, size});
  const ConvRun run{
      .packed = packed,
      .input = input,
      .output_size = {1, size, size},
      .phases = phases,
      .kernels = *kernel_set(InstructionSet::kScalar),
      .parallel_for = parallel_for,
      .plan = {}};
  return useful_threads(run);
}

const Test kThreads("short runs stay on few threads, long ones take all there are", [] {
  CHECK_EQUAL(threads_for(8, 1, 1, 1), 1);
  CHECK_EQUAL(threads_for(64, 3, 56, 1), 16);
  CHECK_EQUAL(threads_for(64, 3, 56, 64), 16);
  CHECK_EQUAL(threads_for(64, 3, 56, 1, 1), 1);
  CHECK_EQUAL(threads_for(64, 3, 0, 1), 1);
  int before = 1;
  for (int64_t size = 1; size < 20; ++size) {
    const int threads = threads_for(16, 3, size, 1);
    CHECK_EQUAL(threads >= before, true);
    before = threads;
  }
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
