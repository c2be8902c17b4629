#pragma once

#include <cstdint>

namespace qconv::native {

// Some rows and columns of one plane of positions.
struct Area {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_column = 0;
  int64_t columns = 0;
};

// What is to be cut into parts: `planes` independent images (or output planes), each `rows` x
// `columns` x `blocks` (of output channels), and what it costs, about.
struct Work {
  int64_t planes = 1;
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t blocks = 1;
  int64_t most_rows = 1;  // of a part
  int64_t most_columns = 1;
  // Parts have multiples of so many, or what is left.
  int64_t row_multiple = 1;
  int64_t block_multiple = 1;
  double microseconds = 0;  // of all on one thread
  // And of each part beside its share of that: for each of its blocks, whose weights are read, and
  // for each whole row that is copied, which are `overlap` more than its rows.
  double block_microseconds = 0;
  double row_microseconds = 0;
  int64_t overlap = 0;
};

struct WorkPart {
  int64_t plane = 0;
  Area area;
  int64_t area_number = 0;  // among those of all planes
  int64_t first_block = 0;
  int64_t blocks = 0;
};

// Parts of about equal work, numbered with channels innermost.
struct WorkSplit {
  Work work;
  int64_t rows_per_part = 1;
  int64_t columns_per_part = 1;
  int64_t blocks_per_part = 1;

  int64_t row_parts() const;  // of a plane
  int64_t column_parts() const;
  int64_t block_parts() const;
  int64_t parts() const { return work.planes * row_parts() * column_parts() * block_parts(); }
  WorkPart part(int64_t number) const;
};

// The split that such a number of threads finishes first, by the costs that `work` names. Threads
// are taken to be unequally fast, as hardware threads that share a core with others are: several
// parts for each are preferred where they cost little.
WorkSplit split_work(const Work& work, int threads);

}  // namespace qconv::native
