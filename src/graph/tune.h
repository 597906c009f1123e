#pragma once
#include "miniten/graph/session.h"

namespace miniten {

// Gives each node the fastest of its forms: as the file says, or timed now and written there.
TuningReport tune(Graph&, const std::string& path, int workers, bool exact);

}  // namespace miniten
