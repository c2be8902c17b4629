#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conv/check_input.h"
#include "conv/description.h"
#include "engines/epilogue.h"
#include "engines/weight_source.h"

namespace qconv {

// An activation in memory order [batch, spatial..., channels]; real = (q - zero_point) * scale.
struct Activation {
  const uint8_t* data = nullptr;
  bool is_signed = false;  // int8, for those that take it
  double scale = 1;
  int32_t zero_point = 0;
};

// A convolution packed by an engine. Immutable: any number of threads may run one object.
class PackedConv {
 public:
  virtual ~PackedConv() = default;

  // Whether runs take int8 activations as well as uint8 ones.
  virtual bool takes_int8() const { return false; }

  // Convolves and requantizes to uint8; output is [batch, spatial..., channels].
  // Raises ValueError, starting with `op`, for scales whose products leave float32.
  virtual void run(
      std::string_view op, const RunShape& shape, const Activation& input,
      const OutputQuantization& quantization, PostOp post_op, uint8_t* output) const = 0;

  // Convolves and returns the real numbers, in the same order.
  virtual void run_to_float(
      const RunShape& shape, const Activation& input, float* output) const = 0;

  // Convolves, applies the epilogue and stores the output, all in the library. Returns false,
  // having done nothing, where the library can't: callers then go through run_to_float and
  // apply_epilogue. Raises ValueError as run() does.
  virtual bool run_fused(
      std::string_view op, const RunShape& shape, const Activation& input, const Epilogue& epilogue,
      const Output& output) const;

  // The weight's integers as they were packed: int8, contiguous, forward [out, in/groups,
  // kernel...], transposed [in, out/groups, kernel...].
  virtual at::Tensor unpack() const = 0;

  // Bytes held for the weight, what the engine keeps beside it included.
  virtual int64_t nbytes() const = 0;

  // Which of the engine's kernels runs it.
  virtual std::string kernel_name() const = 0;

  // How the kernel goes about a run of this shape, in words; empty where the library doesn't tell.
  virtual std::string describe_run(const RunShape& shape) const;
};

// A library that packs and runs convolutions.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual const char* name() const = 0;

  // The library's version and where it comes from, "3.2.0" or "inside torch 2.13.0"; empty where
  // the package was built without it.
  virtual std::string version() const = 0;

  // The most capable instruction set that the library uses on this machine, in its own words;
  // empty where it doesn't tell.
  virtual std::string instruction_set() const = 0;

  // Why the engine can't be used on this machine, or nullopt where it can.
  virtual std::optional<std::string> why_unavailable() const = 0;

  // What is wrong with a setting of the engine's (an environment variable); why_unavailable says so
  // too. It is the caller's mistake: a ValueError of what packs with the engine, or with a policy
  // that would look at it, and no reason to take another engine.
  virtual std::optional<std::string> wrong_setting() const { return std::nullopt; }

  // Frees the memory that the calling thread keeps between runs; returns how many bytes.
  virtual size_t release_scratch() const { return 0; }

  // Why the engine can't run this convolution, or nullopt where it can.
  virtual std::optional<std::string> why_unsupported(const ConvDescription& conv) const = 0;

  // Packs what it supports. The weight's memory isn't kept, the description is.
  virtual std::unique_ptr<const PackedConv> pack(
      std::string_view op, std::shared_ptr<const ConvDescription> conv,
      const WeightSource& weight) const = 0;
};

}  // namespace qconv
