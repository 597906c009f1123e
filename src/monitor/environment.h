#pragma once
#include "monitor/files.h"

namespace miniten::monitor {

Json environment();                              // MiniTen, system, CPU, cores, memory, and the git revision of the working folder

size_t status_bytes(const char* key);            // a line of /proc/self/status in bytes; 0: the system does not tell
bool reset_peak();                               // the system's mark of the peak begins anew; false: it may not
double cpu_seconds();                            // of this process, all threads

}  // namespace miniten::monitor
