#pragma once

namespace qconv {

// Gives the packed params classes an attribute __torch_function__ of this value, an object of
// Python's that is never deleted. For Python, through ctypes; once.
//
// torch.ops asks every argument that isn't a tensor for it, and an object of a C++ class answers by
// two C++ exceptions: 8 of a call's 13 microseconds. With the value
// torch._C._disabled_torch_function_impl the answer is the same, that there is none.
void set_torch_function(void* python_object);

}  // namespace qconv
