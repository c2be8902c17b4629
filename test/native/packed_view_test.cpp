// Every rule of a packed buffer, broken one at a time: the error names it.
#include "native/format/packed_view.h"

#include <cmath>
#include <limits>

#include "check.h"
#include "packed_attacks.h"

namespace qconv::native::test {
namespace {

constexpr bool kVerify = true;

// The buffer lies right before memory that can't be touched.
std::string error_of_view(const std::vector<uint8_t>& bytes, bool verify) {
  PackedMemory memory(bytes.size());
  std::memcpy(memory.data(), bytes.data(), bytes.size());
  return error_of([&] { view_packed(memory.data(), memory.size(), verify); });
}

struct Attack {
  const char* rule;
  std::function<void(Spoiled&)> spoil;
  const char* error;
  bool only_verified = false;  // seen only where everything is compared
};

using H = PackedHeader;

std::function<void(Spoiled&)> header(const std::function<void(H&)>& change) {
  return [change](Spoiled& s) { s.change_header(change); };
}

// On a 3x3 convolution of 5 -> 20 channels.
const Attack kAttacks[] = {
    {"at least a header", [](Spoiled& s) { s.bytes.resize(192); },
     "256 bytes of a header, got 192"},
    {"empty", [](Spoiled& s) { s.bytes.clear(); }, "must have at least the 256 bytes"},
    {"magic", header([](H& h) { h.magic[0] = 'P'; }), "does not start as one does"},
    {"text mode", header([](H& h) { h.magic[6] = '\n'; }), "does not start as one does"},
    {"version", header([](H& h) { h.version = 2; }), "format version must be 1, got 2; pack the"},
    {"version 0", header([](H& h) { h.version = 0; }), "format version must be 1, got 0"},
    {"header size", header([](H& h) { h.header_bytes = 320; }), "header size must be 256, got 320"},
    {"unknown flag", header([](H& h) { h.flags |= 128; }), "unknown flags must be 0, got 128"},
    {"dimensions", header([](H& h) { h.spatial_dims = 4; }),
     "spatial dimensions must be 1, 2 or 3"},
    {"no dimensions", header([](H& h) { h.spatial_dims = 0; }), "spatial dimensions must be 1"},
    {"no groups", header([](H& h) { h.groups = 0; }), "groups must be from 1"},
    {"groups divide", header([](H& h) { h.groups = 3; }), "groups must divide in_channels"},
    {"no channels", header([](H& h) { h.in_channels = 0; }), "in_channels must be from 1"},
    {"channels fit int32", header([](H& h) { h.out_channels = 1U << 31; }), "out_channels must be"},
    {"no kernel", header([](H& h) { h.kernel[2] = 0; }), "kernel size of width must be from 1"},
    {"huge kernel", header([](H& h) { h.kernel = {1, 65536, 65536}; }), "at most 16777216 weights"},
    {"products overflow",
     header([](H& h) { h.in_channels = h.out_channels = h.kernel[1] = h.kernel[2] = 0x7fffffff; }),
     "at most 16777216 weights"},
    {"many weights", header([](H& h) { h.in_channels = 1 << 20, h.out_channels = 1 << 30; }),
     "a convolution must have at most 1099511627776 weights"},
    {"many bytes", header([](H& h) {
       h.groups = h.in_channels = 1 << 30, h.out_channels = h.in_channels * 1;
       h.spatial_dims = 3, h.kernel = {32, 4, 8};
     }),
     "a packed convolution must have at most 1099511627776 bytes"},
    {"stride", header([](H& h) { h.stride[1] = 0; }), "stride of height must be from 1"},
    {"padding", header([](H& h) { h.padding[1] = ~0U; }), "padding of height must be from 0"},
    {"dilation", header([](H& h) { h.dilation[1] = 0; }), "dilation of height must be from 1"},
    {"reach", header([](H& h) { h.dilation[1] = 0x7fffffff; }), "reach of kernel of height"},
    {"output padding", header([](H& h) { h.output_padding[2] = 1; }), "output padding of width"},
    {"2-D has no depth", header([](H& h) { h.padding[0] = 1; }), "a convolution of 2 dimensions"},
    {"transposed: every phase has sums",
     header([](H& h) { h.flags |= kFlagTransposed, h.stride[1] = 2; }),
     "size of section column sums must be 160, got 80"},
    {"transposed, many phases", header([](H& h) {
       h.flags = (h.flags | kFlagTransposed) & ~uint32_t{kFlagFoldsWidth};
       h.in_channels = h.out_channels = 1;
       h.last_columns = 4;
       h.kernel = h.stride = {1, 4096, 4096};
     }),
     "size of section weight must be 268435456"},
    {"transposed, a stride beyond everything",
     header([](H& h) { h.flags |= kFlagTransposed, h.stride = {1, 0x7fffffff, 0x7fffffff}; }),
     "must be"},
    {"transposed, output padding",
     header([](H& h) { h.flags |= kFlagTransposed, h.stride[1] = 2, h.output_padding[1] = 2; }),
     "output padding of height must be smaller than stride or dilation, got 2"},
    {"layout kind", header([](H& h) { h.layout_kind = 2; }), "layout kind must be 1, got 2"},
    {"folds width", header([](H& h) { h.flags ^= kFlagFoldsWidth; }), "flags must be 118, got 116"},
    {"folded rows", header([](H& h) { h.folded_rows = 3; }), "folded rows must be 1, got 3"},
    {"k blocks", header([](H& h) { h.k_blocks = 2; }), "k blocks must be 1, got 2"},
    {"last columns", header([](H& h) { h.last_columns = 4; }),
     "columns of the last block must be 16"},
    {"another kernel", header([](H& h) { h.kernel[1] = 4; }),
     "size of section weight must be 2048"},
    {"more channels", header([](H& h) { h.out_channels = 48; }), "size of section weight must be"},
    {"weight before its place", header([](H& h) { h.sections[kWeight].offset = 0; }),
     "offset of section weight must be 256, got 0"},
    {"weight outside", header([](H& h) { h.sections[kWeight].offset = ~uint64_t{63}; }),
     "offset of section weight must be 256"},
    {"weight too long", header([](H& h) { h.sections[kWeight].bytes = ~uint64_t{0}; }),
     "size of section weight must be 1536"},
    {"scales unaligned", header([](H& h) { h.sections[kScales].offset += 4; }),
     "offset of section scales must be 1856, got 1860"},
    {"scales overlap", header([](H& h) { h.sections[kScales].offset = 256; }),
     "offset of section scales must be 1856, got 256"},
    {"scales count", header([](H& h) { h.sections[kScales].bytes = 4; }),
     "size of section scales must be 80, got 4"},
    {"sections in order",
     header([](H& h) { std::swap(h.sections[kColumnSums].offset, h.sections[kBias].offset); }),
     "offset of section column sums must be"},
    {"zero points missing", header([](H& h) { h.sections[kZeroPoints] = {0, 0}; }),
     "offset of section zero points must be 1984, got 0"},
    {"bias unannounced", header([](H& h) { h.flags &= ~uint32_t{kFlagBias}; }),
     "offset of section bias must be 0"},
    {"per channel unannounced", header([](H& h) { h.flags &= ~uint32_t{kFlagScalesPerChannel}; }),
     "size of section scales must be 4, got 80"},
    {"float64 announced", header([](H& h) { h.flags |= kFlagFloat64Scales; }),
     "size of section scales must be 160, got 80"},
    {"reserved", header([](H& h) { h.reserved[47] = 1; }),
     "reserved bytes of the header must be 0"},
    {"total size", header([](H& h) { h.total_bytes += 64; }),
     "total size in the header must be 2368"},
    {"cut off", [](Spoiled& s) { s.bytes.resize(s.bytes.size() - 64); },
     "size must be 2368, got 2304"},
    {"too long", [](Spoiled& s) { s.bytes.resize(s.bytes.size() + 64); },
     "size must be 2368, got 2432"},
    {"after the weight", [](Spoiled& s) { s.bytes[256 + 1536] = 1; }, "between sections must be 0"},
    {"after the bias", [](Spoiled& s) { s.bytes.back() = 1; }, "bytes between sections must be 0"},
    {"scale 0", [](Spoiled& s) { s.set(kScales, 3, 0.0F); }, "scales must be positive, finite and"},
    {"scale -1", [](Spoiled& s) { s.set(kScales, 3, -1.0F); }, "scales must be positive"},
    {"scale inf", [](Spoiled& s) { s.set(kScales, 19, INFINITY); }, "and normal, got inf"},
    {"scale NaN", [](Spoiled& s) { s.set(kScales, 0, NAN); }, "scales must be positive, finite"},
    {"scale denormal", [](Spoiled& s) { s.set(kScales, 0, 1e-40F); }, "scales must be positive"},
    {"zero point", [](Spoiled& s) { s.set(kZeroPoints, 7, 128); }, "from -128 to 127, got 128"},
    {"zero point", [](Spoiled& s) { s.set(kZeroPoints, 7, INT32_MIN); },
     "zero points must be from"},
    {"zero points all 0",
     [](Spoiled& s) {
       for (size_t i = 0; i < 20; ++i) {
         s.set(kZeroPoints, i, 0);
       }
     },
     "zero points that are all 0 must be absent"},
    {"bias inf", [](Spoiled& s) { s.set(kBias, 19, -INFINITY); }, "bias must be finite, got -inf"},
    {"bias NaN", [](Spoiled& s) { s.set(kBias, 0, NAN); }, "bias must be finite"},
    {"a weight", [](Spoiled& s) { s.bytes[256] ^= 1; }, "column sum of output channel 0", true},
    {"a column sum", [](Spoiled& s) { s.set(kColumnSums, 19, 12345); },
     "column sum of output channel 19 must be", true},
    {"padding of a tap", [](Spoiled& s) { s.bytes[256 + 3 * 64 + 3] = 1; }, "", true},
    {"columns without a channel", [](Spoiled& s) { s.bytes[256 + 768 + 16] = 1; },
     "bytes that pad the weights must be 0, got 1", true},
};

const Test kRules("each broken rule is named, with the checksum made to fit", [] {
  const Spoiled sound = sound_buffer(conv2d(5, 20, 3, 3));
  CHECK_EQUAL(error_of_view(sound.bytes, kVerify), "no error");
  for (const Attack& attack : kAttacks) {
    Spoiled spoiled = sound;
    attack.spoil(spoiled);
    if (spoiled.bytes.size() >= sizeof(PackedHeader)) {
      spoiled.fix_checksum();
    }
    for (bool verify : {false, true}) {
      const std::string error = error_of_view(spoiled.bytes, verify);
      if (attack.only_verified && !verify) {
        CHECK_EQUAL(error, "no error", attack.rule);
      } else {
        CHECK_CONTAINS(error, std::string("packed buffer: "));
        CHECK_CONTAINS(error, attack.error);
      }
    }
  }
});

const Test kChecksum("every flipped bit is noticed", [] {
  const Spoiled sound = sound_buffer(conv2d(5, 20, 3, 3));
  for (size_t bit = 0; bit < sound.bytes.size() * 8; ++bit) {
    Spoiled spoiled = sound;
    spoiled.bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    if (error_of_view(spoiled.bytes, kVerify) == "no error") {
      CHECK_EQUAL(bit, 0U, "this bit can be flipped");
    }
  }
  Spoiled swapped = sound;
  std::swap(swapped.bytes[300], swapped.bytes[300 + 64]);
  CHECK_CONTAINS(error_of_view(swapped.bytes, kVerify), "checksum is wrong");
});

const Test kOther("rules of other layouts", [] {
  Spoiled depthwise = sound_buffer(conv2d(20, 20, 3, 3, 20));
  CHECK_EQUAL(error_of_view(depthwise.bytes, kVerify), "no error");
  depthwise.bytes[256 + 20] = 1;
  depthwise.fix_checksum();
  CHECK_CONTAINS(error_of_view(depthwise.bytes, kVerify), "bytes that pad the weights must be 0");

  Spoiled rows_below = sound_buffer(conv2d(3, 4, 7, 7));
  // The last tap holds row 6 and two that are below the kernel: byte 3 of it is one of those.
  const size_t last_tap = 256 + 2 * 16 * 64;
  CHECK_EQUAL(error_of_view(rows_below.bytes, kVerify), "no error");
  rows_below.bytes[last_tap + 3] = 1;
  rows_below.set(kColumnSums, 0, 0);
  rows_below.fix_checksum();
  CHECK_CONTAINS(error_of_view(rows_below.bytes, kVerify), "column sum of output channel 0");

  // Groups of 4 in one block, half of which is there.
  Spoiled shared = sound_buffer(conv2d(8, 8, 1, 1, 2));
  CHECK_EQUAL(error_of_view(shared.bytes, kVerify), "no error");
  shared.bytes[256 + 8 * 4] = 1;
  shared.fix_checksum();
  CHECK_EQUAL(error_of_view(shared.bytes, false), "no error");
  CHECK_CONTAINS(error_of_view(shared.bytes, kVerify), "bytes that pad the weights must be 0");
  // Two groups of 3 inputs and 4 outputs in one block: inputs of the second contribute nothing to
  // the outputs of the first.
  Spoiled groups = sound_buffer(conv2d(6, 8, 1, 1, 2));
  CHECK_EQUAL(error_of_view(groups.bytes, kVerify), "no error");
  groups.bytes[256 + 3] = 4;
  groups.set(kColumnSums, 0, groups.column_sum(0) + 1);
  groups.fix_checksum();
  CHECK_EQUAL(error_of_view(groups.bytes, false), "no error");
  CHECK_CONTAINS(error_of_view(groups.bytes, kVerify), "bytes between groups must be the zero");

  Spoiled phases = sound_buffer(transposed(conv2d(5, 20, 3, 3), {1, 2, 2}));
  CHECK_EQUAL(error_of_view(phases.bytes, kVerify), "no error");
  // The first phase has 2 taps of 10 bytes, which are 3 quads of 32 columns; the second one has 2
  // of 5 bytes, whose second quad ends with 3 bytes of padding.
  Spoiled padding = phases;
  const size_t second_phase = 256 + 2 * 3 * 2 * 64;
  padding.bytes[second_phase + 64 + 3] = 1;
  padding.set(kColumnSums, 20, padding.column_sum(20) + 1);
  padding.fix_checksum();
  CHECK_EQUAL(error_of_view(padding.bytes, false), "no error");
  CHECK_CONTAINS(error_of_view(padding.bytes, kVerify), "bytes that pad the weights must be 0");
  Spoiled sum = phases;
  sum.set(kColumnSums, 79, 12345);
  sum.fix_checksum();
  CHECK_CONTAINS(error_of_view(sum.bytes, kVerify), "column sum of output channel 19 must be");
  Spoiled forward = phases;
  forward.change_header([](H& h) { h.flags &= ~uint32_t{kFlagTransposed}; });
  CHECK_CONTAINS(error_of_view(forward.bytes, false), "packed buffer: ");

  Spoiled float64 = sound_buffer(conv2d(4, 4, 1, 1), 0.1);
  CHECK_EQUAL(error_of_view(float64.bytes, kVerify), "no error");
  for (size_t i = 0; i < 4; ++i) {
    float64.set(kScales, i, 0.5);
  }
  CHECK_CONTAINS(error_of_view(float64.bytes, false), "must be stored as such");
});

const Test kMemory("the buffer must be aligned", [] {
  const Spoiled sound = sound_buffer(conv2d(4, 4, 1, 1));
  PackedMemory memory(sound.bytes.size() + 64);
  std::memcpy(memory.data() + 4, sound.bytes.data(), sound.bytes.size());
  CHECK_CONTAINS(
      error_of([&] { view_packed(memory.data() + 4, sound.bytes.size(), false); }),
      "must be aligned to 64 bytes; copy it");
  CHECK_CONTAINS(error_of([] { view_packed(nullptr, 4096, false); }), "must be aligned");
});

}  // namespace
}  // namespace qconv::native::test

int main() {
  return qconv::native::test::run_tests();
}
