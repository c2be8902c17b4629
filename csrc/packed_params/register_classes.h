#pragma once

#include <torch/library.h>

namespace qconv {

// Defines the classes in the library's namespace. Ops that take them must be defined afterwards.
void register_packed_params_classes(torch::Library& library);

}  // namespace qconv
