#include "engines/fbgemm/stock_objects.h"

#include <c10/util/Type.h>

#include <string>
#include <typeinfo>

#include "engines/fbgemm/conv_parameters.h"

namespace qconv {

bool stock_weight_is_lost(const ConvPackedParamsBase<2>& stock, const ConvGeometry& geometry) {
  // The class of PyTorch's fbgemm engine, whose header needs one that PyTorch doesn't ship.
  return c10::demangle(typeid(stock).name()) == "PackedConvWeight<2>" &&
      ::fbgemm::ConvFastPath<2, int32_t>(packing_parameters<2>(geometry)) ==
      ::fbgemm::optimized_conv_t::directconv;
}

}  // namespace qconv
