#include "miniten/base/error.h"

namespace miniten {

Error::Error(ErrorKind kind, std::string_view op, std::string want, std::string got, std::string hint)
    : kind_(kind), op_(op), want_(std::move(want)), got_(std::move(got)), hint_(std::move(hint)) {
  text_ = "[" + op_ + "] expected " + want_ + ", got " + got_;
  if (!hint_.empty()) text_ += " (" + hint_ + ")";
}

}  // namespace miniten
