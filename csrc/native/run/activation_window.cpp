#include "native/run/activation_window.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "native/rounding.h"

namespace qconv::native {
namespace {

// Kernels may read this far beyond the last tap of the last pixel: the zeros that pad a tap.
constexpr int64_t kReadableBeyond = 64;

// Four bytes, as they are or widened to 16 bits each.
template <typename Four>
Four load_four(const uint8_t* bytes) {
  Four four;
  if constexpr (sizeof(Four) == 4) {
    std::memcpy(&four, bytes, 4);
  } else {
    four = uint64_t{bytes[0]} | uint64_t{bytes[1]} << 16 | uint64_t{bytes[2]} << 32 |
        uint64_t{bytes[3]} << 48;
  }
  return four;
}

// A tap is at most 64 bytes where rows are folded, and as wide as the kernel, which is at least 2.
constexpr int64_t kMostFoldedRows = 32;

}  // namespace

void ActivationWindow::plan(const ConvRun& run, int64_t rows) {
  packed_ = &run.packed;
  input_ = &run.input;
  widen_ = run.kernels.widen;
  output_rows_ = rows;
  output_columns_ = run.output_size[2];
  planes_.clear();
  tap_offsets_.clear();
  packed_->layout.folds_width ? plan_folded() : plan_split();
}

void ActivationWindow::plan_split() {
  const Convolution& conv = packed_->conv;
  const auto last_place = [&](int i) { return (conv.kernel[i] - 1) * conv.dilation[i]; };
  rows_ = output_rows_ + last_place(1) / conv.stride[1];
  columns_ = output_columns_ + last_place(2) / conv.stride[2];
  // What pads a row on its right also pads the next one on its left; output rows stay apart.
  const int64_t right = columns_ - conv.padding[2] - input_->size[2];
  const int64_t most = std::min(conv.padding[2], columns_ - output_columns_);
  shared_columns_ = conv.stride[2] == 1 ? std::clamp<int64_t>(right, 0, most) : 0;
  columns_ -= shared_columns_;
  pixel_values_ = conv.in_channels;
  pixel_step_ = 1;
  input_row_step_ = conv.stride[1];
  input_column_step_ = conv.stride[2];
  for (int64_t d = 0; d < conv.kernel[0]; ++d) {
    for (int64_t h = 0; h < conv.kernel[1]; ++h) {
      for (int64_t w = 0; w < conv.kernel[2]; ++w) {
        const int64_t row = h * conv.dilation[1];
        const int64_t column = w * conv.dilation[2];
        const Plane plane{d, row % conv.stride[1], column % conv.stride[2], 0};
        const auto found = std::find_if(planes_.begin(), planes_.end(), [&](const Plane& other) {
          return other.depth == d && other.row == plane.row && other.column == plane.column;
        });
        const int64_t index = found - planes_.begin();
        if (found == planes_.end()) {
          planes_.push_back(plane);
        }
        const int64_t pixel = row / conv.stride[1] * columns_ + column / conv.stride[2];
        tap_offsets_.push_back(index * plane_values() + pixel * pixel_values_);
      }
    }
  }
}

void ActivationWindow::plan_folded() {
  const Convolution& conv = packed_->conv;
  const int64_t folded = packed_->layout.folded_rows;
  const int64_t row_groups = (conv.kernel[1] + folded - 1) / folded;
  const int64_t row_distance = folded == 1 ? conv.dilation[1] : folded;  // folding: dilation 1
  const int64_t last_place = (row_groups - 1) * row_distance;
  rows_ = output_rows_ + last_place / conv.stride[1];
  columns_ = (output_columns_ - 1) * conv.stride[2] + conv.kernel[2];
  shared_columns_ = 0;
  // Whole strides, so that rows can be joined to one run.
  columns_ += (conv.stride[2] - columns_ % conv.stride[2]) % conv.stride[2];
  pixel_values_ = folded * conv.in_channels_per_group();
  pixel_step_ = conv.stride[2];
  input_row_step_ = conv.stride[1];
  input_column_step_ = 1;
  // As many row planes as the row groups of the kernel have places modulo the stride; planes of one
  // group lie together.
  int64_t row_planes = 0;
  for (int64_t h = 0; h < row_groups; ++h) {
    row_planes = std::max(row_planes, h * row_distance % conv.stride[1] + 1);
  }
  for (int64_t group = 0; group < conv.groups; ++group) {
    for (int64_t d = 0; d < conv.kernel[0]; ++d) {
      for (int64_t row = 0; row < row_planes; ++row) {
        planes_.push_back({d, row, 0, group});
      }
    }
  }
  planes_per_group_ = conv.kernel[0] * row_planes;
  for (int64_t d = 0; d < conv.kernel[0]; ++d) {
    for (int64_t h = 0; h < row_groups; ++h) {
      const int64_t row = h * row_distance;
      tap_offsets_.push_back(
          (d * row_planes + row % conv.stride[1]) * plane_values() +
          row / conv.stride[1] * columns_ * pixel_values_);
    }
  }
}

int64_t ActivationWindow::elements() const {
  return static_cast<int64_t>(planes_.size()) * plane_values() + kReadableBeyond;
}

int64_t ActivationWindow::group_offset(int64_t group) const {
  return packed_->layout.folds_width ? group * planes_per_group_ * plane_values()
                                     : group * packed_->conv.in_channels_per_group();
}

void ActivationWindow::copy_values(const uint8_t* from, int64_t count, uint8_t* to) const {
  std::memcpy(to, from, static_cast<size_t>(count));
}

void ActivationWindow::copy_values(const uint8_t* from, int64_t count, uint16_t* to) const {
  widen_(from, count, to);
}

template <typename Element>
void ActivationWindow::copy(
    int64_t batch, int64_t output_plane, int64_t first_row, Element* to) const {
  for (const Plane& plane : planes_) {
    copy_plane(plane, batch, output_plane, first_row, to);
    to += plane_values();
  }
  std::fill_n(to, kReadableBeyond, Element{0});
}

template <typename Element>
void ActivationWindow::copy_plane(
    const Plane& plane, int64_t batch, int64_t output_plane, int64_t first_row, Element* to) const {
  const Convolution& conv = packed_->conv;
  const int64_t folded = packed_->layout.folded_rows;
  const int64_t row_values = columns_ * pixel_values_;
  const auto zero_point = static_cast<Element>(input_->zero_point);
  const int64_t input_plane =
      output_plane * conv.stride[0] - conv.padding[0] + plane.depth * conv.dilation[0];
  const bool inside = input_plane >= 0 && input_plane < input_->size[0];
  const auto input_row = [&](int64_t index) -> const uint8_t* {
    if (!inside || index < 0 || index >= input_->size[1]) {
      return nullptr;
    }
    const int64_t row = (batch * input_->size[0] + input_plane) * input_->size[1] + index;
    return input_->data + row * input_->size[2] * conv.in_channels;
  };
  for (int64_t row = 0; row < rows_; ++row, to += row_values) {
    const int64_t first =
        first_row * conv.stride[1] - conv.padding[1] + plane.row + row * input_row_step_;
    if (folded > 1) {
      const uint8_t* rows[kMostFoldedRows];
      for (int64_t r = 0; r < folded; ++r) {
        rows[r] = input_row(first + r);
      }
      folded == 2       ? copy_folded_rows<2>(rows, plane, to)
          : folded == 3 ? copy_folded_rows<3>(rows, plane, to)
                        : copy_folded_rows<0>(rows, plane, to);
    } else if (const uint8_t* const from = input_row(first)) {
      copy_row(from, plane, to);
    } else {
      std::fill_n(to, row_values, zero_point);
    }
  }
  std::fill_n(to, shared_columns_ * pixel_values_, zero_point);
}

ActivationWindow::Columns ActivationWindow::columns_inside(const Plane& plane) const {
  const int64_t shift = packed_->conv.padding[2] - plane.column;
  Columns columns;
  columns.begin = std::clamp<int64_t>(ceil_divide(shift, input_column_step_), 0, columns_);
  columns.end = std::clamp<int64_t>(
      ceil_divide(input_->size[2] + shift, input_column_step_), columns.begin, columns_);
  columns.first_input = columns.begin * input_column_step_ - shift;
  return columns;
}

template <typename Element>
void ActivationWindow::copy_row(const uint8_t* row, const Plane& plane, Element* to) const {
  const int64_t channels = packed_->conv.in_channels;
  const int64_t values = pixel_values_;
  const auto zero_point = static_cast<Element>(input_->zero_point);
  const Columns columns = columns_inside(plane);
  const uint8_t* from = row + columns.first_input * channels + plane.group * values;
  std::fill_n(to, columns.begin * values, zero_point);
  if (input_column_step_ == 1 && values == channels) {
    copy_values(from, (columns.end - columns.begin) * values, to + columns.begin * values);
  } else {
    for (int64_t column = columns.begin; column < columns.end; ++column) {
      copy_values(from, values, to + column * values);
      from += input_column_step_ * channels;
    }
  }
  std::fill_n(to + columns.end * values, (columns_ - columns.end) * values, zero_point);
}

// Four values at a time, of which those that are too many are overwritten by what comes next: the
// next row of the pixel, then the next pixel, then the next row of the window. kFolded: the number
// of rows if it is 2 or 3, as it mostly is; else 0.
template <int kFolded, typename Element>
void ActivationWindow::copy_folded_rows(
    const uint8_t* const* rows, const Plane& plane, Element* to) const {
  using Four = std::conditional_t<sizeof(Element) == 1, uint32_t, uint64_t>;
  const int64_t channels = packed_->conv.in_channels;
  const int64_t values = packed_->conv.in_channels_per_group();
  const int64_t folded = kFolded == 0 ? packed_->layout.folded_rows : kFolded;
  const auto zero_point = static_cast<Element>(input_->zero_point);
  const Columns columns = columns_inside(plane);
  std::fill_n(to, columns.begin * pixel_values_, zero_point);
  // Rows in the padding are one pixel that is read again and again.
  uint8_t padding[4];
  std::fill_n(padding, 4, static_cast<uint8_t>(input_->zero_point));
  const uint8_t* pixels[kMostFoldedRows];
  int64_t steps[kMostFoldedRows];
  for (int64_t r = 0; r < folded; ++r) {
    const int64_t first = columns.first_input * channels + plane.group * values;
    pixels[r] = rows[r] == nullptr ? padding : rows[r] + first;
    steps[r] = rows[r] == nullptr ? 0 : channels;
  }
  Element* pixel = to + columns.begin * pixel_values_;
  const auto copy_pixel = [&](auto load) {
    for (int64_t r = 0; r < folded; ++r, pixel += values) {
      const Four four = load(pixels[r]);
      std::memcpy(pixel, &four, sizeof(four));
      pixels[r] += steps[r];
    }
  };
  // The last pixels of a row may be those of the tensor: no more than their values are read.
  const int64_t careful = (4 + plane.group * values + channels - 1) / channels - 1;
  int64_t column = columns.begin;
  for (; column < columns.end - careful; ++column) {
    copy_pixel([](const uint8_t* values_of_row) { return load_four<Four>(values_of_row); });
  }
  for (; column < columns.end; ++column) {
    copy_pixel([&](const uint8_t* values_of_row) {
      uint8_t bytes[4] = {};
      std::copy_n(values_of_row, values, bytes);
      return load_four<Four>(bytes);
    });
  }
  std::fill_n(pixel, (columns_ - columns.end) * pixel_values_, zero_point);
}

template void ActivationWindow::copy(int64_t, int64_t, int64_t, uint8_t*) const;
template void ActivationWindow::copy(int64_t, int64_t, int64_t, uint16_t*) const;

}  // namespace qconv::native
