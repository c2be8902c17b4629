#pragma once

#include <ATen/core/Tensor.h>

#include "conv/check_input.h"
#include "engines/engine.h"

namespace qconv {

// The elements of a tensor in memory order [batch, spatial..., channels].
struct ChannelsLast {
  const void* data = nullptr;
  at::Tensor copy;  // undefined where the tensor's own memory serves
};

// tensor: plain or quantized [batch, channels, spatial...]. Nothing is copied where it lies so; it
// must outlive the result.
ChannelsLast to_channels_last(const at::Tensor& tensor);

// What an engine takes of an activation: channels last, and unsigned where it wants that.
struct PreparedActivation {
  at::Tensor copy;  // undefined where the activation's own memory serves
  Activation view;
};

// activation: uint8, int8, quint8 or qint8 [batch, channels, spatial...]; must outlive the result.
PreparedActivation prepare_activation(
    const PackedConv& packed, const at::Tensor& activation,
    const ActivationQuantization& quantization);

// Uninitialized tensors [batch, channels, spatial...] for an output, in that memory order. They are
// made without torch's dispatcher, which would take as long as all the rest of a run op.
at::Tensor empty_output(
    int op_dims, const ConvGeometry& geometry, const RunShape& shape, c10::ScalarType dtype);
at::Tensor empty_quantized_output(
    int op_dims, const ConvGeometry& geometry, const RunShape& shape, c10::ScalarType dtype,
    double scale, int64_t zero_point);

}  // namespace qconv
