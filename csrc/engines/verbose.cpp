#include "engines/verbose.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

namespace qconv {
namespace {

bool verbose() {
  static const bool asked = [] {
    const char* const value = std::getenv("TORCH_QCONV_VERBOSE");
    return value != nullptr && std::string_view(value) == "1";
  }();
  return asked;
}

// One write, so that lines of several threads don't mix.
void print_line(const std::ostringstream& text) {
  const std::string line = "torch_qconv_prepack: " + text.str() + "\n";
  std::fputs(line.c_str(), stderr);
}

// What runs were told of, by object. An address that is used again is of something packed anew.
std::mutex told_mutex;
std::map<const PackedConv*, std::set<std::string>>& told() {
  static std::map<const PackedConv*, std::set<std::string>> runs;
  return runs;
}

}  // namespace

void tell_of_pack(
    std::string_view op, const ConvDescription& conv, const std::string& engine,
    const std::string& why, const PackedConv& packed) {
  if (!verbose()) {
    return;
  }
  const ConvGeometry& geometry = conv.geometry;
  std::ostringstream text;
  text << op << ": " << geometry.in_channels << "->" << geometry.out_channels << ", kernel "
       << geometry.kernel << ", stride " << geometry.stride << ", padding " << geometry.padding
       << ", dilation " << geometry.dilation << ", groups " << geometry.groups << "; engine "
       << engine << " (" << why << "), kernel " << packed.kernel_name() << ", " << packed.nbytes()
       << " bytes";
  print_line(text);
  const std::lock_guard lock(told_mutex);
  told().erase(&packed);
}

void tell_of_run(std::string_view op, const PackedConv& packed, const RunShape& shape) {
  if (!verbose()) {
    return;
  }
  std::ostringstream input;
  input << shape.batch << " x " << shape.input_size;
  {
    const std::lock_guard lock(told_mutex);
    if (!told()[&packed].insert(input.str()).second) {
      return;
    }
  }
  std::ostringstream text;
  text << op << ": input " << input.str() << "; kernel " << packed.kernel_name();
  if (const std::string how = packed.describe_run(shape); !how.empty()) {
    text << ": " << how;
  }
  print_line(text);
}

}  // namespace qconv
