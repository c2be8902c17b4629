#include "native/run/activation_window.h"

#include <algorithm>
#include <cstring>

namespace qconv::native {
namespace {

// Kernels may read this far beyond the last tap of the last pixel: the zeros that pad a tap.
constexpr int64_t kReadableBeyond = 64;

void copy_values(const uint8_t* from, int64_t count, uint8_t* to) {
  std::memcpy(to, from, static_cast<size_t>(count));
}

void copy_values(const uint8_t* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[i];
  }
}

int64_t ceil_divide(int64_t a, int64_t b) {
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

}  // namespace

void ActivationWindow::plan(
    const PackedView& packed, const RunInput& input, const Extent& output_size, int64_t rows) {
  packed_ = &packed;
  input_ = &input;
  output_rows_ = rows;
  output_columns_ = output_size[2];
  planes_.clear();
  tap_offsets_.clear();
  packed.layout.folds_width ? plan_folded() : plan_split();
}

void ActivationWindow::plan_split() {
  const Convolution& conv = packed_->conv;
  const auto last_place = [&](int i) { return (conv.kernel[i] - 1) * conv.dilation[i]; };
  rows_ = output_rows_ + last_place(1) / conv.stride[1];
  columns_ = output_columns_ + last_place(2) / conv.stride[2];
  pixel_values_ = conv.in_channels;
  pixel_step_ = 1;
  row_step_ = 1;
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
  rows_ = (output_rows_ - 1) * conv.stride[1] + (row_groups - 1) * row_distance + 1;
  columns_ = (output_columns_ - 1) * conv.stride[2] + conv.kernel[2];
  pixel_values_ = folded * conv.in_channels_per_group();
  pixel_step_ = conv.stride[2];
  row_step_ = conv.stride[1];
  input_row_step_ = 1;
  input_column_step_ = 1;
  for (int64_t group = 0; group < conv.groups; ++group) {
    for (int64_t d = 0; d < conv.kernel[0]; ++d) {
      planes_.push_back({d, 0, 0, group});
    }
  }
  for (int64_t d = 0; d < conv.kernel[0]; ++d) {
    for (int64_t h = 0; h < row_groups; ++h) {
      tap_offsets_.push_back(d * plane_values() + h * row_distance * columns_ * pixel_values_);
    }
  }
}

int64_t ActivationWindow::elements() const {
  return static_cast<int64_t>(planes_.size()) * plane_values() + kReadableBeyond;
}

int64_t ActivationWindow::group_offset(int64_t group) const {
  return packed_->layout.folds_width ? group * packed_->conv.kernel[0] * plane_values()
                                     : group * packed_->conv.in_channels_per_group();
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
  for (int64_t row = 0; row < rows_; ++row, to += row_values) {
    const int64_t first =
        first_row * conv.stride[1] - conv.padding[1] + plane.row + row * input_row_step_;
    for (int64_t r = 0; r < folded; ++r) {
      const int64_t input_row = first + r;
      if (!inside || input_row < 0 || input_row >= input_->size[1]) {
        if (folded == 1) {
          std::fill_n(to, row_values, zero_point);
        } else {
          copy_row<Element>(nullptr, plane, r, to);
        }
        continue;
      }
      const int64_t row_index =
          (batch * input_->size[0] + input_plane) * input_->size[1] + input_row;
      copy_row(input_->data + row_index * input_->size[2] * conv.in_channels, plane, r, to);
    }
  }
}

// One input row, or nothing but zero points where `row` is null, into place `folded_row` of the
// pixels of a row of the window.
template <typename Element>
void ActivationWindow::copy_row(
    const uint8_t* row, const Plane& plane, int64_t folded_row, Element* to) const {
  const Convolution& conv = packed_->conv;
  const bool folds = packed_->layout.folds_width;
  const int64_t values = folds ? conv.in_channels_per_group() : conv.in_channels;
  const auto zero_point = static_cast<Element>(input_->zero_point);
  // Columns of the window that lie in the input: [begin, end).
  const int64_t shift = conv.padding[2] - plane.column;
  const int64_t begin = std::clamp<int64_t>(ceil_divide(shift, input_column_step_), 0, columns_);
  const int64_t end = row == nullptr
      ? begin
      : std::clamp<int64_t>(
            ceil_divide(input_->size[2] + shift, input_column_step_), begin, columns_);
  const uint8_t* from = row == nullptr
      ? nullptr
      : row + (begin * input_column_step_ - shift) * conv.in_channels + plane.group * values;
  if (values == pixel_values_) {
    std::fill_n(to, begin * values, zero_point);
    if (input_column_step_ == 1 && values == conv.in_channels) {
      copy_values(from, (end - begin) * values, to + begin * values);
    } else {
      const int64_t step = input_column_step_ * conv.in_channels;
      for (int64_t column = begin; column < end; ++column, from += step) {
        copy_values(from, values, to + column * values);
      }
    }
    std::fill_n(to + end * values, (columns_ - end) * values, zero_point);
    return;
  }
  // Several rows in a pixel: few values each.
  to += folded_row * values;
  const auto fill = [&](int64_t first, int64_t last) {
    for (int64_t column = first; column < last; ++column) {
      std::fill_n(to + column * pixel_values_, values, zero_point);
    }
  };
  fill(0, begin);
  for (int64_t column = begin; column < end; ++column, from += conv.in_channels) {
    for (int64_t i = 0; i < values; ++i) {
      to[column * pixel_values_ + i] = from[i];
    }
  }
  fill(row == nullptr ? begin : end, columns_);
}

template void ActivationWindow::copy(int64_t, int64_t, int64_t, uint8_t*) const;
template void ActivationWindow::copy(int64_t, int64_t, int64_t, uint16_t*) const;

}  // namespace qconv::native
