#include "native/run/work_split.h"

#include <algorithm>

#include "native/rounding.h"

namespace qconv::native {

WorkSplit split_work(int64_t planes, int64_t rows, int64_t blocks, int64_t most_rows, int threads) {
  const int64_t fewest_row_parts = ceil_divide(rows, most_rows);
  WorkSplit best;
  double best_cost = 0;
  for (int64_t block_parts = 1; block_parts <= std::min<int64_t>(blocks, threads); ++block_parts) {
    for (int64_t row_parts = fewest_row_parts;
         row_parts <= std::min<int64_t>(rows, std::max<int64_t>(fewest_row_parts, threads));
         ++row_parts) {
      const int64_t rows_per_part = ceil_divide(rows, row_parts);
      const int64_t blocks_per_part = ceil_divide(blocks, block_parts);
      const int64_t parts =
          planes * ceil_divide(rows, rows_per_part) * ceil_divide(blocks, blocks_per_part);
      // Work of the busiest thread; channels cut in vain, and many parts, cost a little.
      const double cost = static_cast<double>(ceil_divide(parts, threads)) * rows_per_part *
          blocks_per_part * (1 + 0.05 * (block_parts - 1) + 0.001 * row_parts);
      if (best_cost == 0 || cost < best_cost) {
        best_cost = cost;
        best = {
            ceil_divide(rows, rows_per_part), ceil_divide(blocks, blocks_per_part), rows_per_part,
            blocks_per_part};
      }
    }
  }
  return best;
}

}  // namespace qconv::native
