#include "kernels/qtable.h"

namespace miniten::kernels::MINITEN_TARGET {

extern const QTable q_table;
const QTable q_table = {
#define MINITEN_ADDRESS(name, result, parameters) &name,
    MINITEN_INTEGER_KERNELS(MINITEN_ADDRESS)
#undef MINITEN_ADDRESS
};

}  // namespace miniten::kernels::MINITEN_TARGET
