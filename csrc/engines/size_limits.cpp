#include "engines/size_limits.h"

namespace qconv {

std::optional<std::string> why_too_large(const std::string& library, const ConvGeometry& geometry) {
  // Leaves room for what libraries add: padded blocks, and the padded size of a transposed kernel.
  constexpr int64_t limit = int64_t{1} << 30;
  if (geometry.reduction_length() >= limit / geometry.out_channels) {
    return library + " needs weights of less than 2^30 elements";
  }
  for (int i = 0; i < geometry.spatial_dims(); ++i) {
    if (geometry.dilation[i] * geometry.kernel[i] + 2 * geometry.padding[i] + geometry.stride[i] +
            geometry.output_padding[i] >=
        limit) {
      return library + " needs kernel extents, strides and padding below 2^30";
    }
  }
  return std::nullopt;
}

}  // namespace qconv
