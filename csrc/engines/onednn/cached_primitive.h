#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engines/onednn/conv_primitive.h"
#include "engines/onednn/packed_weight.h"

namespace qconv::onednn {

// What a primitive reads that stays the same for a packed convolution's life.
struct Constants {
  std::vector<float> weight_scales;  // one, or one per output channel
  const float* bias = nullptr;       // one per output channel, or null
};

// A primitive, ready to run from any number of threads at once.
class CachedPrimitive {
 public:
  CachedPrimitive(
      const PrimitiveKey& key, const dnnl::primitive_desc& description,
      std::shared_ptr<const PackedWeight> weight, const Constants& constants);
  CachedPrimitive(const CachedPrimitive&) = delete;
  CachedPrimitive& operator=(const CachedPrimitive&) = delete;
  ~CachedPrimitive();

  // quantization: unused for float outputs. Raises dnnl::error.
  void run(const Activation& input, const OutputQuantization& quantization, void* output) const;

  const PrimitiveKey& key() const { return key_; }
  const std::shared_ptr<const PackedWeight>& weight() const { return weight_; }

 private:
  // The arguments of one execution at a time. oneDNN's memory objects take longer to make than a
  // small convolution takes to run.
  struct Arguments;
  std::unique_ptr<Arguments> take_arguments() const;

  const PrimitiveKey key_;
  const dnnl::primitive_desc description_;
  const dnnl::primitive primitive_;
  const std::shared_ptr<const PackedWeight> weight_;
  const Constants& constants_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Arguments>> idle_;  // guarded by mutex_
};

}  // namespace qconv::onednn
