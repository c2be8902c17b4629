#include "native/kernels/pointwise.h"

#include "native/kernels/pointwise_stages.h"

namespace qconv::native {

void pointwise_scalar(const PointwiseArguments& arguments) {
  pointwise(arguments);
}

}  // namespace qconv::native
