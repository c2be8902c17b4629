#pragma once

namespace qconv {

// Gives PyTorch's classes Conv2dPackedParamsBase and Conv3dPackedParamsBase this package's
// __getstate__ and __setstate__: whatever loads or copies an object of theirs (torch.load,
// torch.jit.load, deepcopy) makes one of this package's of it, in the guise of their class, and
// states are read and written by csrc/state.
void replace_class_methods();

// Gives them back their own.
void restore_class_methods();

}  // namespace qconv
