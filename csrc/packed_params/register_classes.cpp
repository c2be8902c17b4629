#include "packed_params/register_classes.h"

#include <torch/custom_class.h>

#include "conv/quantized_weight.h"
#include "packed_params/packed_params.h"

namespace qconv {
namespace {

template <int kSpatialDims>
std::string class_name() {
  return "Conv" + std::to_string(kSpatialDims) + "dPackedParams";
}

template <int kSpatialDims>
void register_class(torch::Library& library) {
  using Params = PackedParams<kSpatialDims>;
  using Self = c10::intrusive_ptr<Params>;
  library
      .class_<Params>(class_name<kSpatialDims>())
      // As on PyTorch's class.
      .def("unpack", [](const Self& self) { return self->unpack(); })
      .def("weight", [](const Self& self) { return std::get<0>(self->unpack()); })
      .def("bias", [](const Self& self) { return bias_tensor(self->description()); })
      .def("stride", [](const Self& self) { return self->stride(); })
      .def("padding", [](const Self& self) { return self->padding(); })
      .def("output_padding", [](const Self& self) { return self->output_padding(); })
      .def("dilation", [](const Self& self) { return self->dilation(); })
      .def("groups", [](const Self& self) { return self->groups(); })
      .def("transpose", [](const Self& self) { return self->transpose(); })
      // What PyTorch's class doesn't tell.
      .def("engine", [](const Self& self) { return self->engine(); })
      .def(
          "to_engine",
          [](const Self& self, std::string name) {
            return self->to_engine(class_name<kSpatialDims>() + ".to_engine", name);
          })
      .def("kernel_name", [](const Self& self) { return self->packed().kernel_name(); })
      .def("nbytes", [](const Self& self) { return self->nbytes(); })
      .def(
          "conv_dims",
          [](const Self& self) { return int64_t{self->description().geometry.conv_dims}; })
      .def("in_channels", [](const Self& self) { return self->description().geometry.in_channels; })
      .def(
          "out_channels",
          [](const Self& self) { return self->description().geometry.out_channels; })
      .def(
          "kernel_size",
          [](const Self& self) {
            return torch::List<int64_t>(c10::IntArrayRef(self->description().geometry.kernel));
          })
      .def("per_channel", [](const Self& self) { return self->description().weight.per_channel; })
      .def(
          "weight_scales",
          [](const Self& self) { return scales_tensor(self->description().weight); })
      .def(
          "weight_zero_points",
          [](const Self& self) { return zero_points_tensor(self->description().weight); })
      // The same object under the type that torch.ops.quantized's run ops declare.
      .def(
          "as_quantized",
          [](const Self& self) -> typename Params::StockPointer {
            return c10::static_intrusive_pointer_cast<ConvPackedParamsBase<kSpatialDims>>(self);
          })
      .def_pickle(
          [](const Self& self) { return self->plain_state(); },
          [](c10::IValue state) {
            return Params::from_state(
                class_name<kSpatialDims>() + ".__setstate__", state, std::nullopt);
          });
}

}  // namespace

void register_packed_params_classes(torch::Library& library) {
  register_class<2>(library);
  register_class<3>(library);
}

}  // namespace qconv
