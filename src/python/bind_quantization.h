#pragma once
#include "miniten/edge/quantization.h"
#include "python/bind.h"

namespace miniten::python {

// calibration_data: one array, or any iterable of batches (a DataLoader, a generator). Read once, not kept.
edge::Batches batches_of(nb::handle data, const nn::Module&);

// A QuantizationConfig or None, changed by keywords.
edge::QuantizationConfig config_of(nb::handle config, const nb::kwargs&);

#define CONFIG_KEYWORDS                                                                                                                     \
  "dtype: DType | str = 'int8', per_channel: bool = True, symmetric: bool = True, activation_dtype: DType | str = 'int8', "                  \
  "activation_symmetric: bool = False, method: str = 'minmax', percentile: float = 99.999, momentum: float = 0.9, mode: str = 'static', "    \
  "skip: collections.abc.Sequence[str | int] = ()"

}  // namespace miniten::python
