#pragma once
#include "miniten/core/op.h"

namespace miniten {

// What the op's row says, one piece where it says nothing; no phases where no output has an element, however many rows it has.
Work work_of(const Call&);

}  // namespace miniten
