#pragma once
// All of MiniTen.
#include "miniten/base/parallel.h"
#include "miniten/base/random.h"
#include "miniten/core/autograd.h"
#include "miniten/graph/passes.h"
#include "miniten/graph/session.h"
#include "miniten/nn/graph_module.h"
#include "miniten/nn/layers.h"
#include "miniten/ops/ops.h"
#include "miniten/optim/lr_scheduler.h"
