// The ops that turn drop-in mode on and off; see torch_qconv_prepack/_drop_in.py.

#include <torch/library.h>

#include "drop_in/switch.h"

namespace qconv {

TORCH_LIBRARY_FRAGMENT(torch_qconv_prepack, m) {
  m.def("_drop_in_enable(str? engine=None) -> int", TORCH_FN(enable_drop_in));
  m.def("_drop_in_disable(int ticket) -> ()", TORCH_FN(disable_drop_in));
}

}  // namespace qconv
