// How a run is cut into parts for threads: completely, evenly, and not where it is too short.
#include "native/run/work_split.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

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

const Test kCoverage(
    "parts cover every position and block once, and none is larger than it may be", [] {
      Work work;
      for (int64_t planes : {1, 3}) {
        for (int64_t rows : {1, 2, 7, 15, 56}) {
          for (int64_t columns : {1, 5, 16, 100}) {
            for (int64_t blocks : {1, 3, 8}) {
              for (int64_t most : {1, 5, 100}) {
                for (int64_t multiple : {1, 2, 16}) {
                  for (int threads : {1, 2, 3, 16, 64}) {
                    work = {.planes = planes, .rows = rows, .columns = columns, .blocks = blocks};
                    work.most_rows = std::min(most, rows);
                    work.most_columns = std::min(2 * most, columns);
                    work.row_multiple = multiple;
                    work.block_multiple = std::min<int64_t>(multiple, 2);
                    work.microseconds = 1000;
                    work.block_microseconds = static_cast<double>(most);
                    const WorkSplit split = split_work(work, threads);
                    std::vector<int> covered(static_cast<size_t>(planes * rows * columns * blocks));
                    for (int64_t number = 0; number < split.parts(); ++number) {
                      const WorkPart part = split.part(number);
                      const Area& area = part.area;
                      CHECK_EQUAL(part.first_block % work.block_multiple, 0);
                      CHECK_EQUAL(area.rows >= 1 && area.rows <= work.most_rows, true);
                      CHECK_EQUAL(area.columns >= 1 && area.columns <= work.most_columns, true);
                      CHECK_EQUAL(
                          (work.most_rows % multiple != 0 && work.most_rows < rows) ||
                              area.first_row % multiple == 0,
                          true);
                      for (int64_t row = area.first_row; row < area.first_row + area.rows; ++row) {
                        for (int64_t i = 0; i < area.columns * part.blocks; ++i) {
                          const int64_t column = area.first_column + i / part.blocks;
                          const int64_t block = part.first_block + i % part.blocks;
                          ++covered.at(
                              static_cast<size_t>(
                                  ((part.plane * rows + row) * columns + column) * blocks + block));
                        }
                      }
                    }
                    CHECK_EQUAL(
                        std::count(covered.begin(), covered.end(), 1),
                        static_cast<int64_t>(covered.size()));
                  }
                }
              }
            }
          }
        }
      }
    });

const Test kBalance("the busiest thread has at most 15 % more than its share of a layer", [] {
  struct Layer {
    int64_t rows, columns, blocks;
  };
  const std::vector<Layer> layers{{56, 56, 4},   {28, 28, 8},  {14, 14, 16}, {7, 7, 32},
                                  {3136, 1, 16}, {49, 1, 128}, {1, 16000, 4}};
  for (const Layer& layer : layers) {
    for (int threads : {2, 4, 8, 16}) {
      Work work{.rows = layer.rows, .columns = layer.columns, .blocks = layer.blocks};
      work.most_rows = layer.rows;
      work.most_columns = layer.columns;
      work.microseconds = 200;
      const WorkSplit split = split_work(work, threads);
      const int64_t busiest = ceil_divide(split.parts(), threads) * split.rows_per_part *
          split.columns_per_part * split.blocks_per_part;
      const int64_t share = layer.rows * layer.columns * layer.blocks;
      CHECK_EQUAL(busiest * threads * 100 <= share * 115, true);
    }
  }
});

const Test kManyParts(
    "threads get several parts each, unless these would read most weights again", [] {
      Work work{.rows = 56, .columns = 56, .blocks = 4};
      work.most_rows = work.rows;
      work.most_columns = work.columns;
      work.microseconds = 1000;
      CHECK_EQUAL(split_work(work, 8).parts() >= 16, true);
      CHECK_EQUAL(split_work(work, 1).parts(), 1);
      work.block_microseconds = 100;
      CHECK_EQUAL(split_work(work, 8).parts(), 8);
    });

// Calls bodies one after the other, as ranges of one.
void run_one_by_one(int64_t count, ParallelFor::Body body, void* context) {
  for (int64_t i = 0; i < count; ++i) {
    body(context, i, i + 1);
  }
}

const Test kRanges("ranges cover every part once, and there are as many as threads", [] {
  ParallelFor parallel_for;
  parallel_for.run = run_one_by_one;
  for (int threads : {1, 2, 3, 16}) {
    for (int64_t parts : {0, 1, 2, 5, 16, 100}) {
      int ranges = 0;
      std::vector<int> runs(static_cast<size_t>(parts));
      for_each_range(parallel_for, threads, parts, [&](int64_t begin, int64_t end) {
        ++ranges;
        for (int64_t part = begin; part < end; ++part) {
          ++runs[static_cast<size_t>(part)];
        }
      });
      CHECK_EQUAL(std::count(runs.begin(), runs.end(), 1), parts);
      CHECK_EQUAL(ranges, std::max<int64_t>(1, std::min<int64_t>(threads, parts)));
    }
  }
});

const Test kShared("threads take every part once, also those that others leave", [] {
  for (int threads : {1, 2, 3, 16, 200}) {
    for (int64_t parts : {0, 1, 2, 5, 16, 100, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(parts));
      const auto take_all = [&](PartTaker& taker) {
        while (const std::optional<int64_t> part = taker.next()) {
          ++runs[static_cast<size_t>(*part)];
        }
      };
      ParallelFor parallel_for;
      parallel_for.run = run_one_by_one;
      // The first one takes all.
      share_parts(parallel_for, threads, parts, take_all);
      parallel_for.run = [](int64_t count, ParallelFor::Body body, void* context) {
        std::vector<std::thread> team;
        for (int64_t i = 0; i < count; ++i) {
          team.emplace_back(body, context, i, i + 1);
        }
        for (std::thread& thread : team) {
          thread.join();
        }
      };
      share_parts(parallel_for, threads, parts, take_all);
      CHECK_EQUAL(std::count(runs.begin(), runs.end(), 2), parts);
    }
  }
});

const Test kOwnFirst("a thread takes the parts of its own range first", [] {
  OpenParts open(12, 3);
  PartTaker second(open, 1);
  PartTaker last(open, 2);
  for (int64_t part : {4, 5, 6, 7, 8}) {
    CHECK_EQUAL(second.next().value_or(-1), part);
  }
  for (int64_t part : {9, 10, 11, 0, 1, 2, 3, -1}) {
    CHECK_EQUAL(last.next().value_or(-1), part);
  }
  CHECK_EQUAL(second.next().value_or(-1), -1);
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
  const ReachedTaps reached(packed, {1, size, size});
  const ConvRun run{
      .packed = packed,
      .input = input,
      .output_size = {1, size, size},
      .phases = phases,
      .reached = reached,
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
