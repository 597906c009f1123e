#include "miniten/viz/color.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include "miniten/base/error.h"
#include "viz/color_names.h"
#include "viz/theme.h"

namespace miniten::viz {
namespace {

Color from_rgb(uint32_t rgb) {
  return {uint8_t(rgb >> 16), uint8_t(rgb >> 8), uint8_t(rgb)};
}

// -1 where the text is not all hexadecimal digits.
int hex_value(std::string_view digits) {
  int value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc() && end == digits.data() + digits.size() && digits[0] != '-' ? value : -1;
}

bool parse_hex(std::string_view digits, Color& color) {
  const size_t n = digits.size();
  if (n != 3 && n != 4 && n != 6 && n != 8) return false;
  const size_t width = n <= 4 ? 1 : 2;
  int channel[4] = {0, 0, 0, 255};
  for (size_t i = 0; i < n / width; ++i) {
    int value = hex_value(digits.substr(i * width, width));
    if (value < 0) return false;
    channel[i] = width == 1 ? value * 17 : value;
  }
  color = {uint8_t(channel[0]), uint8_t(channel[1]), uint8_t(channel[2]), channel[3] / 255.0};
  return true;
}

constexpr uint32_t tab10[] = {0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd, 0x8c564b, 0xe377c2, 0x7f7f7f, 0xbcbd22, 0x17becf};
constexpr NamedColor short_names[] = {
    {"b", 0x0000ff},         {"g", 0x008000},        {"r", 0xff0000},        {"c", 0x00bfbf},       {"m", 0xbf00bf},
    {"y", 0xbfbf00},         {"k", 0x000000},        {"w", 0xffffff},        {"tab:blue", tab10[0]}, {"tab:orange", tab10[1]},
    {"tab:green", tab10[2]}, {"tab:red", tab10[3]},  {"tab:purple", tab10[4]}, {"tab:brown", tab10[5]}, {"tab:pink", tab10[6]},
    {"tab:gray", tab10[7]},  {"tab:grey", tab10[7]}, {"tab:olive", tab10[8]}, {"tab:cyan", tab10[9]}};

}  // namespace

Color parse_color(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  Color color;
  if (lower == "none") return {0, 0, 0, 0};
  if (!lower.empty() && lower[0] == '#' && parse_hex(std::string_view(lower).substr(1), color)) return color;
  for (const NamedColor& named : short_names) if (named.name == (text.size() == 1 ? text : std::string_view(lower))) return from_rgb(named.rgb);
  auto found = std::lower_bound(std::begin(named_colors), std::end(named_colors), lower,
                                [](const NamedColor& named, const std::string& name) { return named.name < name; });
  if (found != std::end(named_colors) && found->name == lower) return from_rgb(found->rgb);
  int index = -1;
  const char* end = lower.data() + lower.size();
  if (lower.size() >= 2 && lower[0] == 'c' && lower[1] != '-') {
    auto [stop, error] = std::from_chars(lower.data() + 1, end, index);
    if (error == std::errc() && stop == end) return from_rgb(tab10[index % 10]);
  }
  double grey = 0;
  auto [stop, error] = std::from_chars(lower.data(), end, grey, std::chars_format::fixed);
  if (error == std::errc() && stop == end && grey >= 0 && grey <= 1) {
    uint8_t level = uint8_t(std::lround(grey * 255));
    return {level, level, level};
  }
  throw Error(ErrorKind::value, "viz.color", "a colour", "'" + std::string(text.substr(0, 40)) + "'",
              "a CSS name, '#rrggbb', 'C0' to 'C9', 'tab:blue', a grey level such as '0.5', or 'none'");
}

std::string to_hex(const Color& color) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text = "#";
  auto put = [&](int v) { text += digits[v >> 4]; text += digits[v & 15]; };
  put(color.r), put(color.g), put(color.b);
  if (color.a < 1) put(int(std::lround(color.a * 255)));
  return text;
}

std::string get_color(int index) {
  if (index < 0) throw Error(ErrorKind::index, "viz.get_color", "an index of 0 or more", std::to_string(index));
  return to_hex(from_rgb(tab10[index % 10]));
}

double luminance(const Color& color) {
  auto linear = [](uint8_t level) {
    double v = level / 255.0;
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b);
}

double contrast(const Color& a, const Color& b) {
  double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

Color mix(const Color& a, const Color& b, double t) {
  auto blend = [t](uint8_t x, uint8_t y) { return uint8_t(std::lround(x + (y - x) * t)); };
  return {blend(a.r, b.r), blend(a.g, b.g), blend(a.b, b.b), a.a + (b.a - a.a) * t};
}

Color readable_on(const Color& background) {
  const Color dark{0x1a, 0x1a, 0x1a}, light{255, 255, 255};
  return contrast(background, dark) >= contrast(background, light) ? dark : light;
}

const Theme& theme_of(std::string_view name) {
  // The light theme's cycle is tab10; the dark one's is tab10 lightened until each has a contrast above 3 with the ground.
  static const Theme light{"light", {255, 255, 255}, {0x24, 0x29, 0x2f}, {0x57, 0x60, 0x6a}, {0xe3, 0xe6, 0xea},
                           {0x8c, 0x95, 0x9f}, {0xd0, 0xd7, 0xde}, {0x1f77b4, 0xff7f0e, 0x2ca02c, 0xd62728, 0x9467bd,
                           0x8c564b, 0xe377c2, 0x7f7f7f, 0xbcbd22, 0x17becf}};
  static const Theme dark{"dark", {0x14, 0x18, 0x1f}, {0xe6, 0xea, 0xef}, {0xa3, 0xad, 0xb8}, {0x2a, 0x31, 0x3b},
                          {0x66, 0x71, 0x7e}, {0x4a, 0x54, 0x61}, {0x4fa3e0, 0xff9a3c, 0x56c456, 0xf0605f, 0xb48ede,
                          0xb98276, 0xf09ad4, 0xa0a0a0, 0xd2d34a, 0x3fd3e3}};
  if (name == "light") return light;
  if (name == "dark") return dark;
  throw Error(ErrorKind::value, "viz.theme", "'light' or 'dark'", "'" + std::string(name.substr(0, 40)) + "'");
}

Color Theme::resolve(std::string_view text) const {
  bool cycle_entry = text.size() >= 2 && (text[0] == 'C' || text[0] == 'c') &&
                     text.find_first_not_of("0123456789", 1) == std::string_view::npos && text.size() < 8;
  if (!cycle_entry) return parse_color(text);
  return cycle_color(std::stoi(std::string(text.substr(1))));
}

Color Theme::cycle_color(int index) const { return from_rgb(cycle[size_t(index % 10)]); }

}  // namespace miniten::viz
