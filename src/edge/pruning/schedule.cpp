#include <cmath>
#include "edge/pruning/choose.h"

namespace miniten::edge {

GradualPruning::GradualPruning(double initial_sparsity, double final_sparsity, int64_t start_step, int64_t end_step, int64_t frequency)
    : initial_(initial_sparsity), final_(final_sparsity), start_(start_step), end_(end_step), frequency_(frequency) {
  check_sparsity("GradualPruning", initial_);
  check_sparsity("GradualPruning", final_);
  if (initial_ > final_) throw Error(ErrorKind::value, "GradualPruning", "initial_sparsity of at most final_sparsity", std::to_string(initial_) + " and " + std::to_string(final_));
  if (start_ < 0 || end_ <= start_) throw Error(ErrorKind::value, "GradualPruning", "0 <= start_step < end_step", std::to_string(start_) + " and " + std::to_string(end_));
  if (frequency_ < 1) throw Error(ErrorKind::value, "GradualPruning", "a frequency of at least 1", std::to_string(frequency_));
}
double GradualPruning::get_sparsity(int64_t step) const {
  double t = double(std::clamp(step, start_, end_) - start_) / double(end_ - start_);
  return final_ + (initial_ - final_) * std::pow(1 - t, 3);
}
bool GradualPruning::should_update(int64_t step) const {
  return step >= start_ && step <= end_ && ((step - start_) % frequency_ == 0 || step == end_);
}
double GradualPruning::step() { return get_sparsity(++at_); }
bool GradualPruning::apply(PrunedModel& model, const PruneData& data) const {
  if (!should_update(at_)) return false;
  model.prune(get_sparsity(at_), data);
  return true;
}
void GradualPruning::set_last_step(int64_t step) {
  if (step < 0) throw Error(ErrorKind::value, "GradualPruning", "a step of 0 or more", std::to_string(step));
  at_ = step;
}

}  // namespace miniten::edge
