#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>

namespace qconv::native::test {

// Random choices that a seed repeats.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  int64_t between(int64_t low, int64_t high) {  // both included
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  double real(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(engine_);
  }
  bool chance(double probability) { return std::bernoulli_distribution(probability)(engine_); }
  bool chance(int percent) = delete;

  int64_t one_of(std::initializer_list<int64_t> choices) {
    return choices.begin()[between(0, static_cast<int64_t>(choices.size()) - 1)];
  }
  template <typename T, size_t kCount>
  const T& one_of(const T (&choices)[kCount]) {
    return choices[between(0, static_cast<int64_t>(kCount) - 1)];
  }

  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace qconv::native::test
