// The steps of pointwise.h, one after the other over a stretch of numbers that stays in the nearest
// cache: plain loops, from which the compiler makes vectors. Kernel files include this below their
// target pragma, once each; all of it is theirs alone.

#include "native/kernels/pointwise_functions.h"

namespace qconv::native {
namespace {

// Numbers of a stretch: 4 KB of doubles. A multiple of every vector, to which what follows the last
// number is computed in vain.
constexpr int64_t kStretch = 512;
constexpr int64_t kStep = 16;

inline int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

template <typename Real>
void load_sums(const PointwiseArguments& arguments, int64_t first, int64_t count, Real* reals) {
  int64_t channel = first % arguments.channels;
  for (int64_t done = 0; done < count;) {
    const int64_t run = smaller(count - done, arguments.channels - channel);
    const int32_t* const sums = arguments.sums + first + done;
    Real* const to = reals + done;
    if constexpr (sizeof(Real) == sizeof(float)) {
      const float* const multiplier = arguments.multiplier + channel;
      const float* const offset = arguments.offset + channel;
      for (int64_t i = 0; i < run; ++i) {
        to[i] = fma_of(static_cast<float>(sums[i]), multiplier[i], offset[i]);
      }
    } else {
      const double* const zero_point_sum = arguments.zero_point_sum + channel;
      const double* const scale = arguments.scale + channel;
      const double* const bias = arguments.bias + channel;
      for (int64_t i = 0; i < run; ++i) {
        to[i] = (sums[i] + zero_point_sum[i]) * scale[i] + bias[i];
      }
    }
    done += run;
    channel = 0;
  }
}

void load_reals(const float* from, int64_t count, double* reals) {
  for (int64_t i = 0; i < count; ++i) {
    reals[i] = from[i];
  }
}

// Calls body(first element in the row, row, elements, the same counted from `first`) for the rows
// that a stretch lies in.
template <typename Body>
inline QCONV_INLINE void for_each_row(
    const PointwiseArguments& arguments, int64_t first, int64_t count, const Body& body) {
  int64_t row = first / arguments.row_elements;
  int64_t place = first - row * arguments.row_elements;
  for (int64_t done = 0; done < count; ++row, place = 0) {
    const int64_t run = smaller(count - done, arguments.row_elements - place);
    body(row, place, run, done);
    done += run;
  }
}

template <typename Real, typename Element>
void add_integers(
    const void* data, int64_t count, Real scale, int32_t zero_point, Real* __restrict__ reals) {
  const auto* const addend = static_cast<const Element*>(data);
  for (int64_t i = 0; i < count; ++i) {
    reals[i] = fma_of(static_cast<Real>(addend[i] - zero_point), scale, reals[i]);
  }
}

template <typename Real>
void add_float32(const void* data, int64_t count, Real* __restrict__ reals) {
  const auto* const addend = static_cast<const float*>(data);
  for (int64_t i = 0; i < count; ++i) {
    reals[i] += static_cast<Real>(addend[i]);
  }
}

template <typename Real>
void add_bfloat16(const void* data, int64_t count, Real* __restrict__ reals) {
  const auto* const addend = static_cast<const uint16_t*>(data);
  for (int64_t i = 0; i < count; ++i) {
    reals[i] +=
        static_cast<Real>(__builtin_bit_cast(float, static_cast<uint32_t>(addend[i]) << 16));
  }
}

template <typename Real>
void add_addend(const PointwiseArguments& arguments, int64_t first, int64_t count, Real* reals) {
  const RunAddend& addend = arguments.epilogue.addend;
  const auto scale = static_cast<Real>(addend.scale);
  for_each_row(arguments, first, count, [&](int64_t row, int64_t place, int64_t run, int64_t done) {
    const void* const data = static_cast<const uint8_t*>(addend.data) +
        (row * arguments.addend_row_stride + place) * element_bytes(addend.type);
    switch (addend.type) {
      case ElementType::kUint8:
        return add_integers<Real, uint8_t>(data, run, scale, addend.zero_point, reals + done);
      case ElementType::kInt8:
        return add_integers<Real, int8_t>(data, run, scale, addend.zero_point, reals + done);
      case ElementType::kFloat32:
        return add_float32(data, run, reals + done);
      case ElementType::kBfloat16:
        return add_bfloat16(data, run, reals + done);
    }
  });
}

template <typename Real, typename Function>
__attribute__((noinline)) void apply(int64_t count, Real* reals, Function function) {
  for (int64_t i = 0; i < count; ++i) {
    reals[i] = function(reals[i]);
  }
}

template <typename Real>
void apply_function(const Epilogue& epilogue, int64_t count, Real* reals) {
  // Whole vectors: the stretch is as long.
  const int64_t whole = (count + kStep - 1) / kStep * kStep;
  switch (epilogue.function) {
    case PointwiseFunction::kNone:
      return;
    case PointwiseFunction::kRelu:
      return apply(whole, reals, Relu<Real>());
    case PointwiseFunction::kHardtanh:
      return apply(
          whole, reals,
          Hardtanh<Real>{static_cast<Real>(epilogue.lower), static_cast<Real>(epilogue.upper)});
    case PointwiseFunction::kLeakyRelu:
      return apply(whole, reals, LeakyRelu<Real>{static_cast<Real>(epilogue.slope)});
    case PointwiseFunction::kHardswish:
      return apply(whole, reals, Hardswish<Real>());
    case PointwiseFunction::kSwish:
      return apply(whole, reals, Swish<Real>());
    case PointwiseFunction::kSigmoid:
      return apply(whole, reals, Sigmoid<Real>());
    case PointwiseFunction::kGelu:
      return apply(whole, reals, Gelu<Real>());
    case PointwiseFunction::kGeluTanh:
      return apply(whole, reals, GeluTanh<Real>());
  }
}

// Clamped before they are rounded, since the ends are integers; a NaN becomes `low`. Both types of
// byte are the lowest bits.
template <typename Real>
void store_integers(
    const Real* __restrict__ reals, int64_t count, const RunOutput& output,
    uint8_t* __restrict__ to) {
  const auto inverse = static_cast<Real>(1 / output.scale);
  const auto low = static_cast<Real>(smallest_of(output.type) - output.zero_point);
  const auto high = static_cast<Real>(largest_of(output.type) - output.zero_point);
  const auto zero_point = static_cast<uint32_t>(output.zero_point);
  for (int64_t i = 0; i < count; ++i) {
    const Real quanta = reals[i] * inverse;
    const Real bounded = at_most(quanta > low ? quanta : low, high);
    to[i] = static_cast<uint8_t>(static_cast<uint32_t>(rounded_bits(bounded)) + zero_point);
  }
}

template <typename Real>
void store_float32(const Real* __restrict__ reals, int64_t count, float* __restrict__ to) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = static_cast<float>(reals[i]);
  }
}

template <typename Real>
void store_bfloat16(const Real* __restrict__ reals, int64_t count, uint16_t* __restrict__ to) {
  constexpr uint32_t kNan = 0x7fc0;
  for (int64_t i = 0; i < count; ++i) {
    const auto real = static_cast<float>(reals[i]);
    const auto bits = __builtin_bit_cast(uint32_t, real);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    to[i] = static_cast<uint16_t>(real == real ? rounded : kNan);
  }
}

template <typename Real>
void store(const PointwiseArguments& arguments, int64_t first, int64_t count, const Real* reals) {
  const RunOutput& output = arguments.output;
  for_each_row(arguments, first, count, [&](int64_t row, int64_t place, int64_t run, int64_t done) {
    void* const data = static_cast<uint8_t*>(output.data) +
        (row * arguments.output_row_stride + place) * element_bytes(output.type);
    switch (output.type) {
      case ElementType::kUint8:
      case ElementType::kInt8:
        return store_integers(reals + done, run, output, static_cast<uint8_t*>(data));
      case ElementType::kFloat32:
        return store_float32(reals + done, run, static_cast<float*>(data));
      case ElementType::kBfloat16:
        return store_bfloat16(reals + done, run, static_cast<uint16_t*>(data));
    }
  });
}

template <typename Real>
void compute(const PointwiseArguments& arguments) {
  alignas(64) Real reals[kStretch] = {};
  for (int64_t first = 0; first < arguments.count; first += kStretch) {
    const int64_t count = smaller(kStretch, arguments.count - first);
    if constexpr (sizeof(Real) == sizeof(double)) {
      if (arguments.sums == nullptr) {
        load_reals(arguments.reals + first, count, reals);
      } else {
        load_sums(arguments, first, count, reals);
      }
    } else {
      load_sums(arguments, first, count, reals);
    }
    if (arguments.epilogue.addend.data != nullptr) {
      add_addend(arguments, first, count, reals);
    }
    apply_function(arguments.epilogue, count, reals);
    store(arguments, first, count, reals);
  }
}

void pointwise(const PointwiseArguments& arguments) {
  if (arguments.multiplier != nullptr) {
    compute<float>(arguments);
  } else {
    compute<double>(arguments);
  }
}

void quantize(
    const float* __restrict__ values, int64_t count, float inverse, int32_t zero_point,
    uint8_t* __restrict__ quantized) {
  const auto shift = static_cast<float>(zero_point);
  const float low = hidden(0.0F);
  const float high = hidden(255.0F);
  for (int64_t i = 0; i < count; ++i) {
    const float quanta = fma_of(values[i], inverse, shift);
    const float bounded = at_most(quanta > low ? quanta : low, high);
    quantized[i] = static_cast<uint8_t>(rounded_bits(bounded));
  }
}

#undef QCONV_INLINE

}  // namespace
}  // namespace qconv::native
