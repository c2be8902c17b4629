#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>

#include "plain/plain_weight.h"

namespace qconv {

// What was packed for a weight tensor. An entry belongs to the tensor's memory and lives as long as
// that does; the least recently used go first where there are too many. Any number of threads may
// ask.
//
// A weight that is written to in place is packed anew: PyTorch counts such writes. It doesn't count
// those through .data, numpy and inference tensors, so some bytes are compared as well; that
// notices a weight that is replaced, but maybe not one changed element.

// The convolution that was packed for these arguments, or nullptr.
std::shared_ptr<const PackedPlainConv> find_packed(const PlainWeight& weight);

void remember_packed(const PlainWeight& weight, std::shared_ptr<const PackedPlainConv> packed);

// The engine or policy that packs this weight at its first run, as asked for when it was prepacked.
void remember_engine(const at::Tensor& weight, std::string engine);
std::optional<std::string> remembered_engine(const at::Tensor& weight);

}  // namespace qconv
