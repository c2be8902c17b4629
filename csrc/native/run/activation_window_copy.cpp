#include <algorithm>
#include <cstring>
#include <type_traits>

#include "native/rounding.h"
#include "native/run/activation_window.h"
#include "native/run/flip_bits.h"

namespace qconv::native {
namespace {

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

void ActivationWindow::copy_values(const uint8_t* from, int64_t count, uint8_t* to) const {
  flip_ == 0 ? static_cast<void>(std::memcpy(to, from, static_cast<size_t>(count)))
             : flip_bits(from, flip_, count, to);
}

void ActivationWindow::copy_values(const uint8_t* from, int64_t count, uint16_t* to) const {
  widen_(from, count, to);
  if (flip_ != 0) {
    flip_bits(to, flip_, count, to);
  }
}

template <typename Element>
void ActivationWindow::copy(
    int64_t batch, int64_t output_plane, const Area& area, Element* to) const {
  for (const Plane& plane : planes_) {
    copy_plane(plane, batch, output_plane, area, to);
    to += plane_values();
  }
  std::fill_n(to, kReadableBeyond, Element{0});
}

template <typename Element>
void ActivationWindow::copy_plane(
    const Plane& plane, int64_t batch, int64_t output_plane, const Area& area, Element* to) const {
  const int64_t row_values = columns_ * pixel_values_;
  const Columns columns = columns_inside(plane, area.first_column);
  const auto zero_point = static_cast<Element>(zero_point_);
  const int64_t input_plane =
      output_plane * conv_.stride[0] - conv_.padding[0] + plane.depth * conv_.dilation[0];
  const bool inside = input_plane >= 0 && input_plane < input_->size[0];
  const auto input_row = [&](int64_t index) -> const uint8_t* {
    if (!inside || index < 0 || index >= input_->size[1]) {
      return nullptr;
    }
    const int64_t row = (batch * input_->size[0] + input_plane) * input_->size[1] + index;
    return input_bytes_ + row * input_->size[2] * conv_.in_channels;
  };
  for (int64_t row = 0; row < rows_; ++row, to += row_values) {
    const int64_t first =
        area.first_row * conv_.stride[1] - conv_.padding[1] + plane.row + row * input_row_step_;
    if (folded_rows_ > 1) {
      const uint8_t* rows[kMostFoldedRows];
      for (int64_t r = 0; r < folded_rows_; ++r) {
        rows[r] = input_row(first + r);
      }
      folded_rows_ == 2       ? copy_folded_rows<2>(rows, plane, columns, to)
          : folded_rows_ == 3 ? copy_folded_rows<3>(rows, plane, columns, to)
                              : copy_folded_rows<0>(rows, plane, columns, to);
    } else if (const uint8_t* const from = input_row(first)) {
      copy_row(from, plane, columns, to);
    } else {
      std::fill_n(to, row_values, zero_point);
    }
  }
  std::fill_n(to, shared_columns_ * pixel_values_, zero_point);
}

ActivationWindow::Columns ActivationWindow::columns_inside(
    const Plane& plane, int64_t first_column) const {
  const int64_t shift = conv_.padding[2] - plane.column - first_column * conv_.stride[2];
  Columns columns;
  columns.begin = std::clamp<int64_t>(ceil_divide(shift, input_column_step_), 0, columns_);
  columns.end = std::clamp<int64_t>(
      ceil_divide(input_->size[2] + shift, input_column_step_), columns.begin, columns_);
  columns.first_input = columns.begin * input_column_step_ - shift;
  return columns;
}

template <typename Element>
void ActivationWindow::copy_row(
    const uint8_t* row, const Plane& plane, Columns columns, Element* to) const {
  const int64_t channels = conv_.in_channels;
  const int64_t values = pixel_values_;
  const auto zero_point = static_cast<Element>(zero_point_);
  const uint8_t* from = row + columns.first_input * channels + plane.group * values;
  std::fill_n(to, columns.begin * values, zero_point);
  if (input_column_step_ == 1 && values == channels) {
    copy_values(from, (columns.end - columns.begin) * values, to + columns.begin * values);
  } else {
    for (int64_t column = columns.begin; column < columns.end; ++column) {
      copy_values(from, std::min(values, channels), to + column * values);
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
    const uint8_t* const* rows, const Plane& plane, Columns columns, Element* to) const {
  using Four = std::conditional_t<sizeof(Element) == 1, uint32_t, uint64_t>;
  const int64_t channels = conv_.in_channels;
  const int64_t values = conv_.in_channels_per_group();
  const int64_t folded = kFolded == 0 ? folded_rows_ : kFolded;
  const auto zero_point = static_cast<Element>(zero_point_);
  std::fill_n(to, columns.begin * pixel_values_, zero_point);
  // Rows in the padding are one pixel that is read again and again.
  uint8_t padding[4];
  std::fill_n(padding, 4, static_cast<uint8_t>(zero_point_ ^ flip_));
  const uint8_t* pixels[kMostFoldedRows];
  int64_t steps[kMostFoldedRows];
  for (int64_t r = 0; r < folded; ++r) {
    const int64_t first = columns.first_input * channels + plane.group * values;
    pixels[r] = rows[r] == nullptr ? padding : rows[r] + first;
    steps[r] = rows[r] == nullptr ? 0 : channels;
  }
  Element* pixel = to + columns.begin * pixel_values_;
  Four flips = 0;
  const Element flip[4] = {flip_, flip_, flip_, flip_};
  std::memcpy(&flips, flip, sizeof(flips));
  const auto copy_pixel = [&](auto load) {
    for (int64_t r = 0; r < folded; ++r, pixel += values) {
      const Four four = load(pixels[r]) ^ flips;
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

template void ActivationWindow::copy(int64_t, int64_t, const Area&, uint8_t*) const;
template void ActivationWindow::copy(int64_t, int64_t, const Area&, uint16_t*) const;

}  // namespace qconv::native
