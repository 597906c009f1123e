#include "viz/number.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include "miniten/base/error.h"
#include "miniten/viz/axes.h"

namespace miniten::viz {
namespace {

constexpr const char* minus_sign = "\u2212";

struct Format { bool comma = false; int precision = -1; char type = 'g'; };

bool parse_format(std::string_view text, Format& format) {
  size_t i = 0;
  if (i < text.size() && text[i] == ',') format.comma = true, ++i;
  if (i < text.size() && text[i] == '.') {
    int digits = 0, count = 0;
    for (++i; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, ++count) digits = digits * 10 + (text[i] - '0');
    if (count == 0 || count > 2 || digits > 40) return false;
    format.precision = digits;
  }
  if (i < text.size()) format.type = text[i++];
  if (i != text.size() || std::string_view("defg%").find(format.type) == std::string_view::npos) return false;
  return format.type != 'd' || format.precision < 0;
}

std::string convert(double value, std::chars_format style, int precision) {
  char buffer[512];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, style, precision);
  return error == std::errc() ? std::string(buffer, end) : "?";
}

std::string with_minus(std::string text) {
  if (!text.empty() && text[0] == '-') text.replace(0, 1, minus_sign);
  return text;
}

void group_thousands(std::string& text) {
  size_t start = text[0] == '-' ? 1 : 0;
  size_t end = std::min(text.find_first_not_of("0123456789", start), text.size());
  while (end > start + 3) text.insert(end -= 3, ",");
}

// value = mantissa * 10^exponent with |mantissa| in [1, 10).
int exponent_of(double value) {
  return value == 0 ? 0 : int(std::floor(std::log10(std::abs(value)) + 1e-12));
}

}  // namespace

std::string fixed(double value, int decimals) {
  std::string text = convert(value, std::chars_format::fixed, decimals);
  if (text[0] == '-' && text.find_first_not_of("-0.") == text.npos) text.erase(0, 1);
  return text;
}

void append_coordinate(std::string& out, double value) {
  if (!(std::abs(value) < 1e12)) value = value > 0 ? 1e12 : value < 0 ? -1e12 : 0;
  long long hundredths = std::llround(value * 100);
  if (hundredths < 0) out += '-', hundredths = -hundredths;
  out += std::to_string(hundredths / 100);
  int rest = int(hundredths % 100);
  if (rest == 0) return;
  out += '.';
  out += char('0' + rest / 10);
  if (rest % 10) out += char('0' + rest % 10);
}

int decimals_for(double step) {
  if (!(step > 0) || !std::isfinite(step)) return 0;
  int decimals = std::max(0, -exponent_of(step));
  for (int extra = 0; extra < 2; ++extra) {
    double scaled = step * std::pow(10.0, decimals);
    if (std::abs(scaled - std::round(scaled)) < 1e-6 * std::max(1.0, scaled)) break;
    ++decimals;
  }
  return decimals;
}

Label power_of_ten(double value) {
  return {"10", with_minus(std::to_string(exponent_of(value)))};
}

std::vector<Label> tick_labels(std::span<const double> values, double step) {
  double largest = 0;
  for (double v : values) largest = std::max(largest, std::abs(v));
  std::vector<Label> labels;
  const int power = exponent_of(largest), step_power = exponent_of(step);
  if (largest > 0 && (power >= 7 || power < -4) && (power - step_power <= 4 || power >= 15)) {
    const double unit = std::pow(10.0, std::abs(power));
    auto mantissa = [&](double v) { return power < 0 ? v * unit : v / unit; };
    const int decimals = std::min(15, decimals_for(mantissa(step)));
    for (double v : values) {
      if (std::abs(v) < step * 1e-6) labels.push_back({"0"});
      else labels.push_back({with_minus(fixed(mantissa(v), decimals)) + "×10", with_minus(std::to_string(power))});
    }
    return labels;
  }
  for (double v : values) labels.push_back({with_minus(fixed(v, std::min(40, decimals_for(step))))});
  return labels;
}

void check_format(std::string_view op, std::string_view format) {
  Format parsed;
  if (!parse_format(format, parsed)) {
    throw Error(ErrorKind::value, op, "a number format", "'" + std::string(format.substr(0, 40)) + "'",
                "such as '.2f', '.3g', '.1e', 'd', ',d', '.1%'");
  }
}

std::string format_value(double value, std::string_view text) {
  check_format("viz.format_value", text);
  Format format;
  parse_format(text, format);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "∞" : std::string(minus_sign) + "∞";
  const int precision = format.precision < 0 ? 6 : format.precision;
  std::string out;
  switch (format.type) {
    case 'd': out = fixed(std::nearbyint(value), 0); break;
    case 'f': out = fixed(value, precision); break;
    case '%': out = fixed(value * 100, precision); break;
    case 'e': out = convert(value, std::chars_format::scientific, precision); break;
    default: out = convert(value, std::chars_format::general, std::max(precision, 1));
  }
  if (format.comma) group_thousands(out);
  if (format.type == '%') out += '%';
  return with_minus(out);
}

}  // namespace miniten::viz
