#include <cmath>
#include "interchange/c/prepare.h"
#include "core/c_loops.h"

namespace miniten {

std::string c_self_test(const CSource& s, const std::vector<std::vector<Tensor>>& inputs, const std::vector<std::vector<Tensor>>& outputs, double tolerance) {
  std::string up = upper_case(s.name), c = "/* Runs " + s.name + " on known inputs: " + s.name + "_self_test() is 0 where every output is as expected, else 1. */\n#include \"" + s.name + ".h\"\n\n";
  auto each = [](auto& calls, const char* what, std::string& text) {
    for (size_t i = 0; i < calls.size(); ++i)
      for (size_t k = 0; k < calls[i].size(); ++k) text += c_array("static const", std::string(what) + std::to_string(i) + "_" + std::to_string(k), calls[i][k]);
  };
  each(inputs, "input", c);
  each(outputs, "expected", c);
  if (c.find("INFINITY") != c.npos || c.find("NAN") != c.npos) c.insert(c.find("#include"), "#include <math.h>\n");
  c += "\n";
  for (size_t k = 0; k < s.outputs.size(); ++k)
    c += c::join({"static ", c_type(s.outputs[k].spec.dtype), " output", k, "[", std::max<int64_t>(1, s.outputs[k].spec.shape.count()), "];\n"});
  bool integers = false, floats = false;
  for (const CPort& p : s.outputs) (is_float(p.spec.dtype) ? floats : integers) = true;
  if (floats)
    c += R"(
static int differs_float(const float *a, const float *b, int32_t n, float tolerance) {
  for (int32_t i = 0; i < n; ++i) {
    const float d = a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    if (a[i] != b[i] && !(d <= tolerance) && (a[i] == a[i] || b[i] == b[i])) return 1;
  }
  return 0;
}
)";
  if (integers)
    c += R"(
static int differs(const void *a, const void *b, int32_t bytes) {
  const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
  for (int32_t i = 0; i < bytes; ++i)
    if (p[i] != q[i]) return 1;
  return 0;
}
)";
  c += c::join({"\nint ", s.name, "_self_test(void);\nint ", s.name, "_self_test(void) {\n  int wrong = 0;\n"});
  bool single = s.inputs.size() == 1 && s.outputs.size() == 1;
  if (s.streams) c += c::join({"  ", s.name, "_reset();\n"});
  if (!single) {
    c += c::join({"  void *const to[", s.outputs.size(), "] = {"});
    for (size_t k = 0; k < s.outputs.size(); ++k) c += (k ? ", output" : "output") + std::to_string(k);
    c += "};\n";
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string call = std::to_string(i), function = s.name + (s.streams ? "_step" : "_run");
    if (single) c += c::join({"  ", function, "(input", call, "_0, output0);\n"});
    else {
      c += c::join({"  {\n    const void *const from[", std::max<size_t>(1, s.inputs.size()), "] = {"});
      for (size_t k = 0; k < s.inputs.size(); ++k) c += c::join({(k ? ", input" : "input"), call, "_", k});
      c += c::join({"};\n    ", function, "(from, to);\n  }\n"});
    }
    for (size_t k = 0; k < s.outputs.size(); ++k) {
      const Tensor& t = outputs[i][k];
      std::string got = "output" + std::to_string(k), want = "expected" + call + "_" + std::to_string(k);
      if (is_float(t.dtype())) {
        double largest = 1;
        for (float v : t.to_vector<float>()) if (std::isfinite(v)) largest = std::max(largest, double(std::abs(v)));
        c += c::join({"  wrong |= differs_float(", got, ", ", want, ", ", t.numel(), ", ", c_number(float(tolerance * largest), DType::f32), ");\n"});
      } else c += c::join({"  wrong |= differs(", got, ", ", want, ", (int32_t)sizeof ", want, ");\n"});
    }
  }
  c += c::join({"  return wrong;\n}\n\n#ifndef ", up, "_SELF_TEST_WITHOUT_MAIN\nint main(void) { return ", s.name, "_self_test(); }\n#endif\n"});
  return c;
}

}  // namespace miniten
