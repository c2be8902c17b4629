#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "native/run/run.h"

namespace qconv::native {

// Calls run_ranges(first range, last range + 1) with ranges [0, count), from several threads.
template <typename RunRanges>
void in_parallel(const ParallelFor& parallel_for, int64_t count, const RunRanges& run_ranges) {
  if (count <= 1 || parallel_for.run == nullptr) {
    run_ranges(int64_t{0}, count);
    return;
  }
  parallel_for.run(
      count,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<const RunRanges*>(context))(begin, end);
      },
      const_cast<std::remove_const_t<RunRanges>*>(&run_ranges));
}

// Calls run_parts(begin, end) on ranges that cover [0, parts), one for each of so many threads.
template <typename RunParts>
void for_each_range(
    const ParallelFor& parallel_for, int threads, int64_t parts, const RunParts& run_parts) {
  const int64_t ranges = std::max<int64_t>(std::min<int64_t>(threads, parts), 1);
  in_parallel(parallel_for, ranges, [&](int64_t begin, int64_t end) {
    run_parts(begin * parts / ranges, end * parts / ranges);
  });
}

// Parts that are still to be taken, in ranges.
class OpenParts {
 public:
  static constexpr int64_t kMostRanges = 64;

  OpenParts(int64_t parts, int64_t ranges) : count_(ranges) {
    for (int64_t i = 0; i < count_; ++i) {
      Range& range = ranges_[static_cast<size_t>(i)];
      range.next.store(i * parts / count_, std::memory_order_relaxed);
      range.end = (i + 1) * parts / count_;
    }
  }

  int64_t ranges() const { return count_; }

  std::optional<int64_t> take_from(int64_t number) {
    Range& range = ranges_[static_cast<size_t>(number)];
    if (range.next.load(std::memory_order_relaxed) >= range.end) {
      return std::nullopt;  // without a write, which other threads would wait for
    }
    const int64_t part = range.next.fetch_add(1, std::memory_order_relaxed);
    return part < range.end ? std::optional(part) : std::nullopt;
  }

 private:
  struct alignas(64) Range {
    std::atomic<int64_t> next;
    int64_t end;
  };

  int64_t count_;
  std::array<Range, kMostRanges> ranges_;  // the first count_ are set
};

// What one thread takes: the parts of a range of its own, which those of the same range in other
// layers share caches with, then those that slower threads have left.
class PartTaker {
 public:
  PartTaker(OpenParts& open, int64_t own) : open_(open), range_(own) {}

  std::optional<int64_t> next() {
    for (; left_ < open_.ranges(); ++left_) {
      if (const std::optional<int64_t> part = open_.take_from(range_)) {
        return part;
      }
      range_ = range_ + 1 == open_.ranges() ? 0 : range_ + 1;
    }
    return std::nullopt;
  }

 private:
  OpenParts& open_;
  int64_t range_;
  int64_t left_ = 0;  // ranges that are empty
};

// Calls take_parts(PartTaker&) on so many threads, which together take all parts.
template <typename TakeParts>
void share_parts(
    const ParallelFor& parallel_for, int threads, int64_t parts, const TakeParts& take_parts) {
  const int64_t takers = std::max<int64_t>(std::min<int64_t>(threads, parts), 1);
  OpenParts open(parts, std::min(takers, OpenParts::kMostRanges));
  in_parallel(parallel_for, takers, [&](int64_t begin, int64_t end) {
    for (int64_t number = begin; number < end; ++number) {
      PartTaker taker(open, number * open.ranges() / takers);
      take_parts(taker);
    }
  });
}

// "8 parts on 2 threads".
inline std::string parts_on_threads(int threads, int64_t parts) {
  return std::to_string(parts) + " parts on " + std::to_string(std::min<int64_t>(threads, parts)) +
      " threads";
}

}  // namespace qconv::native
