#include <cmath>
#include "miniten/core/autograd.h"
#include "miniten/edge/compression.h"
#include "miniten/ops/ops.h"

namespace miniten::edge {

Tensor distillation_loss(const Tensor& student, const Tensor& teacher, const Tensor& labels, double temperature, double alpha) {
  const char* op = "distillation_loss";
  if (!(temperature > 0) || std::isinf(temperature)) throw Error(ErrorKind::value, op, "a temperature above 0", std::to_string(temperature));
  if (!(alpha >= 0 && alpha <= 1)) throw Error(ErrorKind::value, op, "an alpha in [0, 1]", std::to_string(alpha));
  if (student.rank() != 2) throw Error(ErrorKind::value, op, "logits of shape (N, C)", student.spec().text());
  if (teacher.shape() != student.shape())
    throw Error(ErrorKind::value, op, "teacher logits of the student's shape " + student.shape().text(), teacher.shape().text(), "both need the same classes");
  Tensor soft = cast(detach(teacher), student.dtype()), t = Tensor::scalar(temperature, student.dtype());
  Tensor log_p = log_softmax(soft / t, 1), log_q = log_softmax(student / t, 1);
  Tensor kl = sum(exp(log_p) * (log_p - log_q), {0, 1}) * (temperature * temperature / double(std::max<Dim>(student.dim(0), 1)));
  if (alpha == 1) return kl;
  Tensor hard = cross_entropy(student, labels);
  return alpha == 0 ? hard : kl * alpha + hard * (1 - alpha);
}

Distillation::Distillation(nn::ModuleRef student, nn::ModuleRef teacher, double temperature, double alpha)
    : student_(std::move(student)), teacher_(std::move(teacher)), temperature_(temperature), alpha_(alpha) {
  const char* op = "knowledge_distillation";
  if (!student_) throw Error(ErrorKind::type, op, "a student", "none");
  if (student_.get() == teacher_.get()) throw Error(ErrorKind::value, op, "a student that is not its own teacher", "one model for both", "copy it first");
  if (!(temperature > 0) || std::isinf(temperature)) throw Error(ErrorKind::value, op, "a temperature above 0", std::to_string(temperature));
  if (!(alpha >= 0 && alpha <= 1)) throw Error(ErrorKind::value, op, "an alpha in [0, 1]", std::to_string(alpha));
}
optim::Optimizer& Distillation::optimizer() {
  if (!optimizer_) optimizer_ = make<optim::Adam>(student_->parameters(), optim::Adam::Options{});
  return *optimizer_;
}
double Distillation::train_step(const std::vector<Tensor>& inputs, const Tensor& labels) {
  if (!teacher_) throw Error(ErrorKind::value, "train_step", "a teacher", "none", "pass teacher_model to knowledge_distillation");
  Tensor taught;
  {
    NoGrad no_grad;
    bool trained = teacher_->training();
    struct Back {
      nn::Module& m;
      bool mode;
      ~Back() { m.train(mode); }
    } back{*teacher_, trained};
    teacher_->eval();
    taught = (*teacher_)(inputs).at(0);
  }
  student_->train();
  Tensor own = (*student_)(inputs).at(0), l = loss(own, taught, labels);
  double value = l.item();
  if (!std::isfinite(value)) throw Error(ErrorKind::value, "train_step", "a finite loss", std::to_string(value), "lower the learning rate, or look at the inputs");
  optimizer().zero_grad();
  backward(l);
  optimizer().step();
  return value;
}

}  // namespace miniten::edge
