#pragma once
#include <cstddef>

namespace miniten {

// Memory of tensors of 64 KB to 64 MB that were let go waits for tensors of about their size: at most 64 MB, and with that in use never more
// than was in use at once before.
size_t cached_bytes();
void empty_cache();                            // gives it back

}  // namespace miniten
