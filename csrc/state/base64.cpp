#include "state/base64.h"

#include <array>
#include <cstdint>

namespace qconv {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint32_t kInvalid = 0xff;

// The two characters for every 12-bit value: half as many look-ups as one character at a time.
constexpr std::array<std::array<char, 2>, 4096> make_pairs() {
  std::array<std::array<char, 2>, 4096> pairs{};
  for (uint32_t value = 0; value < pairs.size(); ++value) {
    pairs[value] = {kAlphabet[value >> 6], kAlphabet[value & 63]};
  }
  return pairs;
}

constexpr std::array<uint8_t, 256> make_values() {
  std::array<uint8_t, 256> values{};
  values.fill(kInvalid);
  for (uint32_t value = 0; value < kAlphabet.size(); ++value) {
    values[static_cast<uint8_t>(kAlphabet[value])] = static_cast<uint8_t>(value);
  }
  return values;
}

constexpr auto kPairs = make_pairs();
constexpr auto kValues = make_values();

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  const auto byte = [&](size_t i) {
    return i < bytes.size() ? uint32_t{static_cast<uint8_t>(bytes[i])} : 0;
  };
  char* out = text.data();
  for (size_t i = 0; i < bytes.size(); i += 3, out += 4) {
    const uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const auto& high = kPairs[bits >> 12];
    const auto& low = kPairs[bits & 4095];
    out[0] = high[0];
    out[1] = high[1];
    out[2] = i + 1 < bytes.size() ? low[0] : '=';
    out[3] = i + 2 < bytes.size() ? low[1] : '=';
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') {
    ++padding;
  }
  std::string bytes(text.size() / 4 * 3, '\0');
  const size_t digits = text.size() - padding;
  const auto digit = [&](size_t i) {
    return i < digits ? uint32_t{kValues[static_cast<uint8_t>(text[i])]} : 0;
  };
  uint32_t seen = 0;  // kInvalid's top bits stay set in it
  for (size_t i = 0, out = 0; i < text.size(); i += 4, out += 3) {
    const uint32_t a = digit(i);
    const uint32_t b = digit(i + 1);
    const uint32_t c = digit(i + 2);
    const uint32_t d = digit(i + 3);
    seen |= a | b | c | d;
    const uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    bytes[out] = static_cast<char>(bits >> 16);
    bytes[out + 1] = static_cast<char>(bits >> 8);
    bytes[out + 2] = static_cast<char>(bits);
  }
  bytes.resize(bytes.size() - padding);
  // The bits that the padding leaves over must be 0, so that one text stands for one value.
  const std::string_view last = std::string_view(bytes).substr(bytes.size() / 3 * 3);
  const bool canonical = padding == 0 || text.ends_with(base64_encode(last));
  if (seen > 63 || !canonical) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace qconv
