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

namespace {

double power_scaled(double v, int power) { return power < 0 ? v * std::pow(10.0, -power) : v / std::pow(10.0, power); }  // v / 10^power

// The leading digits that lo and hi share, as a number that labels may leave out; 0 where they are few. As matplotlib's offset.
double shared_part(double lo, double hi) {
  if (!(lo * hi > 0)) return 0;
  const double low = std::min(std::abs(lo), std::abs(hi)), high = std::max(std::abs(lo), std::abs(hi));
  auto leading = [](double v, int power) { return std::floor(power_scaled(v, power)); };
  const int top = exponent_of(high) + 1, bottom = top - 15;
  int power = top;
  while (power > bottom && leading(low, power) == leading(high, power)) --power;
  if (power_scaled(high - low, power + 1) <= 0.01) {      // a carry alone parts them, as 99999 and 100001
    power = top;
    while (power > bottom && leading(high, power) - leading(low, power) <= 1) --power;
  }
  const double digits = leading(high, power + 1);
  return digits < 1000 ? 0 : std::copysign(power_scaled(digits, -power - 1), lo);
}

// At most 15 digits, as few as say it; from 10^9 on and below 10^-3 as mantissa and power.
Label short_number(double v) {
  std::string mantissa = convert(std::abs(v), std::chars_format::scientific, 14);
  const size_t e = mantissa.find('e');
  const int power = std::stoi(mantissa.substr(e + 1));
  mantissa.resize(e);
  while (mantissa.back() == '0') mantissa.pop_back();
  const int digits = int(mantissa.size()) - 2;                               // behind the point
  const std::string sign = v < 0 ? minus_sign : "";
  if (power >= -3 && power < 9) return {sign + fixed(std::abs(v), std::max(0, digits - power))};
  if (mantissa.back() == '.') mantissa.pop_back();
  return {sign + mantissa + "×10", with_minus(std::to_string(power))};
}

}  // namespace

std::vector<Label> tick_labels(std::span<const double> values, double step, Label& offset) {
  constexpr int long_number = 7;
  offset = {};
  double largest = 0;
  for (double v : values) largest = std::max(largest, std::abs(v));
  const bool many_digits = values.size() > 1 && exponent_of(largest) + decimals_for(step) >= long_number - 1;
  const double base = many_digits ? shared_part(values.front(), values.back()) : 0;
  if (base != 0) {
    offset = short_number(base);
    if (base > 0) offset.text.insert(0, "+");
    largest = 0;
    for (double v : values) largest = std::max(largest, std::abs(v - base));
  }
  int power = largest > 0 ? exponent_of(largest) : 0;
  if (power < 6 && power >= -4) power = 0;
  if (power != 0 && offset.exponent.empty()) {
    offset = {offset.text + (base != 0 ? ", ×10" : "×10"), with_minus(std::to_string(power))};
  } else if (power != 0) {
    power = 0;                                              // two powers in one offset would be a riddle
  }
  std::vector<Label> labels;
  const int decimals = std::min(power ? 15 : 40, decimals_for(power_scaled(step, power)));
  for (double v : values) labels.push_back({with_minus(fixed(power_scaled(v - base, power), decimals))});
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
