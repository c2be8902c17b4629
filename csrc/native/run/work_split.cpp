#include "native/run/work_split.h"

#include <algorithm>

#include "native/rounding.h"

namespace qconv::native {
namespace {

// Columns are cut where there are so many for each part.
constexpr int64_t kFewestColumns = 16;
// Parts for each thread, if they cost little, and take so long that a thread that starts late, by a
// few microseconds, doesn't lose any: its caches hold what they read.
constexpr int64_t kMostPartsPerThread = 4;
constexpr double kLeastMicroseconds = 4;
// How much of a part's time the last thread still needs when the others are done.
constexpr double kUnfinished = 0.5;

double part_microseconds(const WorkSplit& split) {
  const Work& work = split.work;
  const auto rows = static_cast<double>(split.rows_per_part);
  const auto blocks = static_cast<double>(split.blocks_per_part);
  const double columns =
      static_cast<double>(split.columns_per_part) / static_cast<double>(work.columns);
  const double share = rows / static_cast<double>(work.planes * work.rows) * columns * blocks /
      static_cast<double>(work.blocks);
  return share * work.microseconds + blocks * work.block_microseconds +
      (rows + static_cast<double>(work.overlap)) * columns * work.row_microseconds;
}

double cost(const WorkSplit& split, int threads) {
  const auto rounds = static_cast<double>(ceil_divide(split.parts(), threads));
  return (rounds + kUnfinished) * part_microseconds(split);
}

// Cuts each plane into about `pieces`, rows first, but no larger than its parts may be.
void cut_planes(WorkSplit& split, int64_t pieces) {
  const Work& work = split.work;
  const int64_t fewest_columns = ceil_divide(work.columns, work.most_columns);
  const int64_t row_parts = std::clamp(
      ceil_divide(pieces, fewest_columns), ceil_divide(work.rows, work.most_rows), work.rows);
  const int64_t column_parts = std::clamp(
      ceil_divide(pieces, row_parts), fewest_columns,
      std::max(fewest_columns, ceil_divide(work.columns, kFewestColumns)));
  split.rows_per_part = std::min(
      round_up(ceil_divide(work.rows, row_parts), work.row_multiple),
      std::min(work.rows, work.most_rows));
  split.columns_per_part = ceil_divide(work.columns, column_parts);
}

}  // namespace

int64_t WorkSplit::row_parts() const {
  return ceil_divide(work.rows, rows_per_part);
}

int64_t WorkSplit::column_parts() const {
  return ceil_divide(work.columns, columns_per_part);
}

int64_t WorkSplit::block_parts() const {
  return ceil_divide(work.blocks, blocks_per_part);
}

WorkPart WorkSplit::part(int64_t number) const {
  WorkPart part;
  part.area_number = number / block_parts();
  part.first_block = number % block_parts() * blocks_per_part;
  part.blocks = std::min(blocks_per_part, work.blocks - part.first_block);
  const int64_t row_number = part.area_number / column_parts();
  part.plane = row_number / row_parts();
  part.area.first_row = row_number % row_parts() * rows_per_part;
  part.area.rows = std::min(rows_per_part, work.rows - part.area.first_row);
  part.area.first_column = part.area_number % column_parts() * columns_per_part;
  part.area.columns = std::min(columns_per_part, work.columns - part.area.first_column);
  return part;
}

WorkSplit split_work(const Work& work, int threads) {
  WorkSplit best;
  double best_cost = 0;
  const auto consider = [&](const WorkSplit& split) {
    const double cost_of_split = cost(split, threads);
    if (best_cost == 0 || cost_of_split < best_cost) {
      best_cost = cost_of_split;
      best = split;
    }
  };
  WorkSplit split{.work = work};
  split.blocks_per_part = work.blocks;
  cut_planes(split, 1);
  consider(split);
  if (threads == 1) {
    return best;
  }
  const auto affordable = static_cast<int64_t>(work.microseconds / (threads * kLeastMicroseconds));
  const int64_t most_of_thread = std::clamp<int64_t>(affordable, 1, kMostPartsPerThread);
  const int64_t most_block_parts =
      std::min<int64_t>(ceil_divide(work.blocks, work.block_multiple), threads);
  for (int64_t block_parts = 1; block_parts <= most_block_parts;
       block_parts += 1 + block_parts / 4) {
    split.blocks_per_part = round_up(ceil_divide(work.blocks, block_parts), work.block_multiple);
    for (int64_t of_thread = 1; of_thread <= most_of_thread; of_thread *= 2) {
      cut_planes(split, ceil_divide(of_thread * threads, work.planes * block_parts));
      consider(split);
    }
  }
  return best;
}

}  // namespace qconv::native
