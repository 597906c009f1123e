#pragma once
#include <exception>
#include <string>
#include <string_view>

namespace miniten {

// What went wrong, in the caller's terms. In Python: value -> ValueError, type -> TypeError, index -> IndexError,
// unsupported -> NotImplementedError, io -> OSError.
enum class ErrorKind { value, type, index, unsupported, io };

// Thrown before any work starts. The text reads "[op] expected <want>, got <got> (<hint>)".
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string_view op, std::string want, std::string got, std::string hint = "");
  const char* what() const noexcept override { return text_.c_str(); }
  ErrorKind kind() const { return kind_; }
  const std::string& op() const { return op_; }        // op, layer or function that refuses
  const std::string& want() const { return want_; }
  const std::string& got() const { return got_; }
  const std::string& hint() const { return hint_; }    // how to mend it; may be empty

 private:
  ErrorKind kind_;
  std::string op_, want_, got_, hint_, text_;
};

}  // namespace miniten
