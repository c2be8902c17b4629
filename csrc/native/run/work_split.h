#pragma once

#include <cstdint>

namespace qconv::native {

// How a convolution's output is cut into parts of about equal work: `planes` independent images (or
// output planes), each `rows` x `columns_of_blocks` (blocks of output channels).
struct WorkSplit {
  int64_t row_parts = 1;    // of each plane
  int64_t block_parts = 1;  // of the output channels
  int64_t rows_per_part = 1;
  int64_t blocks_per_part = 1;
};

// At most `most_rows` rows a part. Cutting rows is preferred; channels are cut where rows alone
// would leave threads idle for longer than a twentieth of the time.
WorkSplit split_work(int64_t planes, int64_t rows, int64_t blocks, int64_t most_rows, int threads);

}  // namespace qconv::native
