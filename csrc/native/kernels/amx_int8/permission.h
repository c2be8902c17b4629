#pragma once

namespace qconv::native {

// Whether this process may use AMX-INT8 tiles: the CPU has them, the operating system saves them,
// and it granted this process their 8 KB of register state (asked for once, on the first call).
bool request_amx();

}  // namespace qconv::native
