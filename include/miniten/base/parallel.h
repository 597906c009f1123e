#pragma once
#include <cstddef>

namespace miniten {

// Threads that MiniTen may use, the caller's included. Default: what affinity and the cgroup's quota allow.
int get_num_threads();
int available_cores();                        // what affinity and the quota allow
void set_num_threads(int);                    // at least 1; throws below

// Runs region(argument, worker) on up to `threads` workers at once, worker 0 being the caller, and returns when all
// that began have ended. Workers spin shortly for the next region, then sleep. Inside a region, and while another
// thread holds the team, the call runs on the caller alone: nesting and concurrency are safe.
void run_team(int threads, void (*region)(void* argument, int worker), void* argument);

// True on a thread that is inside a region of the team.
bool in_region();

}  // namespace miniten
