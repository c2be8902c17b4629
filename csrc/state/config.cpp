#include "state/config.h"

#include "conv/check.h"

namespace qconv {

std::vector<int64_t> write_config(const ConvGeometry& geometry, int dims, int64_t flags) {
  std::vector<int64_t> values{dims};
  for (const Dims* list :
       {&geometry.stride, &geometry.padding, &geometry.dilation, &geometry.output_padding}) {
    values.insert(values.end(), list->end() - dims, list->end());
  }
  values.push_back(geometry.groups);
  values.push_back(flags);
  return values;
}

size_t config_length(const std::string& where, int64_t dims) {
  QCONV_CHECK_VALUE(
      dims >= 1 && dims <= 3, where, "the config's dimensions must be 1, 2 or 3, got ", dims);
  return static_cast<size_t>(4 * dims + 3);
}

int64_t read_config(
    const std::string& where, const std::vector<int64_t>& values, int64_t allowed_flags,
    ConvArguments& arguments) {
  QCONV_CHECK_VALUE(!values.empty(), where, "the config must not be empty");
  const int64_t dims = values[0];
  const size_t expected = config_length(where, dims);
  QCONV_CHECK_VALUE(
      values.size() == expected, where, "the config must have ", expected, " values for ", dims,
      " dimensions, got ", values.size());
  arguments.conv_dims = static_cast<int>(dims);
  auto value = values.begin() + 1;
  for (std::vector<int64_t>* list :
       {&arguments.stride, &arguments.padding, &arguments.dilation, &arguments.output_padding}) {
    list->assign(value, value + dims);
    value += dims;
  }
  arguments.groups = *value++;
  const int64_t flags = *value;
  QCONV_CHECK_VALUE(
      (flags & ~allowed_flags) == 0, where, "the config's flags must be within ", allowed_flags,
      ", got ", flags);
  arguments.transposed = (flags & kFlagTransposed) != 0;
  return flags;
}

}  // namespace qconv
