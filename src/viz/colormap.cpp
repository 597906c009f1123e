#include "viz/colormap.h"
#include <algorithm>
#include <cmath>
#include "miniten/base/error.h"

namespace miniten::viz {
namespace {

// Colours at equal steps over [0, 1], joined by straight lines.
// viridis, plasma, inferno, magma: Smith & van der Walt (CC0); cividis: Nunez, Anderton, Renslow 2018; coolwarm: Moreland 2009;
// blues to greys, yl*, rd*, spectral, pi*, pr*, br*: ColorBrewer 2.0 by C. Brewer (Apache-2.0); turbo: Mikhailov 2019 (Apache-2.0); the
// others are piecewise linear by definition.
struct Map { std::string_view name, points; };
constexpr Map maps[] = {
    {"viridis",
     "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d33638d31"
     "688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c35b7"
     "793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725"},
    {"plasma",
     "0d08871b068d2605912f059638049a41049d4903a05102a35901a56100a76900a87100a87801a88004a88707a68e0ca49511a19c"
     "179ea21d9aa82296ae2892b42e8dba3388bf3984c43e7fc9447acd4a76d24f71d6556dda5b69de6164e26660e66c5ce97257ed79"
     "53f07f4ff3854bf58c46f79342f99a3efba139fca835fdaf31feb72dfebe2afdc627fcce25fbd724f8df25f6e826f3f027f0f921"},
    {"inferno",
     "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e71196e78"
     "1c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612bed69"
     "25f1711ff47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4"},
    {"magma",
     "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c5a167e6219806a1c8172"
     "1f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75ca3e72d2426fd9466be04c67e75263ec5860f160"
     "5df4695cf7725cf97b5dfb8560fc8e64fd9869fea16efeaa74feb47bfebd82fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf"},
    {"cividis",
     "00224e002656002a5f002d68003070083370163770203a6f273e6e2e416d34456c3a486c3f4c6c444f6c49536c4e566c535a6d57"
     "5d6d5c616e60646f656870696b716d6f727272747676767a7a787e7d788381798885788d8878928c789690779b9476a09875a59c"
     "74aaa073afa471b5a86fbaac6dbfb06bc4b468c9b965cfbd62d4c15fdac65bdfca57e5cf52ead34cf0d846f6dd3ffce236fee838"},
    {"coolwarm",
     "3b4cc04055c8465ecf4c66d6536edd5977e35f7fe86687ed6c8ff17396f57a9df881a4fb88abfd8fb1fe96b7ff9dbdffa3c2feaa"
     "c7fdb1cbfcb7cff9bed2f6c4d5f3cad8efcfdaead5dbe5dadce0dfdbd9e4d9d2e9d5cbedd2c3f0cdbbf2c9b4f5c4acf6bea4f7b8"
     "9cf7b194f7aa8cf6a385f59c7df39475f08b6eed8366e97a5fe57058e16751dc5d4ad65244d0473dca3b37c32e31bb1b2cb40426"},
    {"blues",
     "f7fbfff3f8feeff6fcebf3fbe7f1fae3eef9dfecf7dce9f6d8e7f5d4e4f4d0e2f2cddff1c9ddf0c4daeebed8ecb8d5eab2d2e8ab"
     "d0e6a5cde39fcae197c6df8fc2de87bddc7fb9da77b5d96fb0d768acd561a7d25ba3d0549fcd4e9acb4896c84191c63c8cc33787"
     "c03282be2d7dbb2777b82272b61e6db21a68ae1663aa125ea60e59a20a549e084f99084a9108458a084082083a7a08357308306b"},
    {"reds", "fff5f0fee0d2fcbba1fc9272fb6a4aef3b2ccb181da50f1567000d"},
    {"greens", "f7fcf5e5f5e0c7e9c0a1d99b74c47641ab5d238b45006d2c00441b"},
    {"oranges", "fff5ebfee6cefdd0a2fdae6bfd8d3cf16913d94801a636037f2704"},
    {"purples", "fcfbfdefedf5dadaebbcbddc9e9ac8807dba6a51a354278f3f007d"},
    {"greys", "fffffff0f0f0d9d9d9bdbdbd969696737373525252252525000000"},
    {"ylorrd", "ffffccffeda0fed976feb24cfd8d3cfc4e2ae31a1cbd0026800026"},
    {"ylgnbu", "ffffd9edf8b1c7e9b47fcdbb41b6c41d91c0225ea8253494081d58"},
    {"rdbu", "67001fb2182bd6604df4a582fddbc7f7f7f7d1e5f092c5de4393c32166ac053061"},
    {"rdylbu", "a50026d73027f46d43fdae61fee090ffffbfe0f3f8abd9e974add14575b4313695"},
    {"rdylgn", "a50026d73027f46d43fdae61fee08bffffbfd9ef8ba6d96a66bd631a9850006837"},
    {"spectral", "9e0142d53e4ff46d43fdae61fee08bffffbfe6f598abdda466c2a53288bd5e4fa2"},
    {"piyg", "8e0152c51b7dde77aef1b6dafde0eff7f7f7e6f5d0b8e1867fbc414d9221276419"},
    {"prgn", "40004b762a839970abc2a5cfe7d4e8f7f7f7d9f0d3a6dba05aae611b783700441b"},
    {"brbg", "5430058c510abf812ddfc27df6e8c3f5f5f5c7eae580cdc135978f01665e003c30"},
    {"turbo",
     "30123b36215f3b2f803f3e9c424bb54559cb4666dd4773eb4680f6458cfd4099ff38a5fb2fb2f427bee91fc9dd1ad4d018ddc21a"
     "e4b622ebaa2ff19b3ff68a52fa7a65fd6979fe598bff4b9cfe40a9fb39b7f735c3f134d0ea34dbe236e5d938eecf3af5c53afaba"
     "39fdae35fea130fe932afc8423f9751df46617ef5811e84b0ce14109d83706ce2d04c32503b71d02a916019b0f018b09027a0403"},
    {"bwr", "0000ffffffffff0000"},
    {"seismic", "00004c0000ffffffffff0000800000"},
    {"hsv", "ff0000ffff0000ff0000ffff0000ffff00ffff0000"},
    {"bone", "0000001c1c2738384e545574707b908ca2aca9c8c8d5e4e4ffffff"},
    {"spring", "ff00ffffff00"},
    {"summer", "008066ffff66"},
    {"autumn", "ff0000ffff00"},
    {"winter", "0000ff00ff80"},
};
struct Piece { double at, value; };
struct Linear { std::string_view name; std::vector<Piece> r, g, b; };
const std::vector<Linear>& linear_maps() {
  static const std::vector<Linear> all = {
      {"gray", {{0, 0}, {1, 1}}, {{0, 0}, {1, 1}}, {{0, 0}, {1, 1}}},
      {"cool", {{0, 0}, {1, 1}}, {{0, 1}, {1, 0}}, {{0, 1}, {1, 1}}},
      {"hot", {{0, 0.0416}, {0.365079, 1}, {1, 1}}, {{0, 0}, {0.365079, 0}, {0.746032, 1}, {1, 1}}, {{0, 0}, {0.746032, 0}, {1, 1}}},
      {"jet", {{0, 0}, {0.35, 0}, {0.66, 1}, {0.89, 1}, {1, 0.5}},
       {{0, 0}, {0.125, 0}, {0.375, 1}, {0.64, 1}, {0.91, 0}, {1, 0}},
       {{0, 0.5}, {0.11, 1}, {0.34, 1}, {0.65, 0}, {1, 0}}}};
  return all;
}

double follow(const std::vector<Piece>& line, double t) {
  for (size_t i = 1; i < line.size(); ++i) {
    const Piece &a = line[i - 1], &b = line[i];
    if (t <= b.at) return a.value + (b.value - a.value) * (t - a.at) / (b.at - a.at);
  }
  return line.back().value;
}

double channel(std::string_view points, size_t point, size_t which) {
  auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  const char* two = points.data() + point * 6 + which * 2;
  return digit(two[0]) * 16 + digit(two[1]);
}

}  // namespace

std::vector<std::string> colormap_names() {
  std::vector<std::string> names;
  for (const Map& map : maps) names.emplace_back(map.name);
  for (const Linear& map : linear_maps()) names.emplace_back(map.name);
  for (const char* name : {"tab10", "tab20"}) names.emplace_back(name);
  return names;
}

Lut colormap_table(std::string_view name) {
  bool reversed = name.size() > 2 && name.substr(name.size() - 2) == "_r";
  std::string base(reversed ? name.substr(0, name.size() - 2) : name);
  for (char& c : base) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  if (base == "grey") base = "gray";
  Lut table;
  bool found = false;
  for (const Map& map : maps) {
    if (map.name != base) continue;
    found = true;
    const size_t last = map.points.size() / 6 - 1;
    for (size_t i = 0; i < 256; ++i) {
      double position = double(i) * double(last) / 255;
      size_t left = std::min(size_t(position), last - 1);
      double t = position - double(left);
      auto at = [&](size_t c) {
        return uint8_t(std::lround(channel(map.points, left, c) * (1 - t) + channel(map.points, left + 1, c) * t));
      };
      table[i] = {at(0), at(1), at(2)};
    }
  }
  for (const Linear& map : linear_maps()) {
    if (map.name != base) continue;
    found = true;
    auto level = [](double v) { return uint8_t(std::lround(std::clamp(v, 0.0, 1.0) * 255)); };
    for (size_t i = 0; i < 256; ++i) {
      double t = double(i) / 255;
      table[i] = {level(follow(map.r, t)), level(follow(map.g, t)), level(follow(map.b, t))};
    }
  }
  if (base == "tab10" || base == "tab20") {  // steps, not a ramp; every second of the twenty is lightened
    static constexpr uint32_t light[] = {0xaec7e8, 0xffbb78, 0x98df8a, 0xff9896, 0xc5b0d5, 0xc49c94, 0xf7b6d2, 0xc7c7c7, 0xdbdb8d, 0x9edae5};
    found = true;
    for (size_t i = 0; i < 256; ++i) {
      const size_t step = i * (base == "tab10" ? 10 : 20) / 256;
      if (base == "tab10" || step % 2 == 0) table[i] = parse_color(get_color(int(base == "tab10" ? step : step / 2)));
      else table[i] = {uint8_t(light[step / 2] >> 16), uint8_t(light[step / 2] >> 8), uint8_t(light[step / 2])};
    }
  }
  if (!found) {
    std::string known;
    for (const std::string& each : colormap_names()) known += (known.empty() ? "" : ", ") + each;
    throw Error(ErrorKind::value, "viz.colormap", "a colormap's name", "'" + std::string(name.substr(0, 40)) + "'",
                "known: " + known + "; '_r' reverses");
  }
  if (reversed) std::reverse(table.begin(), table.end());
  return table;
}

Color colormap_at(std::string_view name, double t) {
  if (std::isnan(t)) throw Error(ErrorKind::value, "viz.colormap_at", "a number in [0, 1]", "NaN");
  return colormap_table(name)[size_t(Norm{}.index(t))];
}

int Norm::index(double v) const {
  if (v <= lo) return 0;
  if (v >= hi) return 255;
  return int(std::min(255.0, 256 * ((v / 2 - lo / 2) / (hi / 2 - lo / 2))));
}

Norm norm_of(std::span<const double> data, double lo, double hi, std::string_view op) {
  if (lo > hi) {
    throw Error(ErrorKind::value, op, "vmin <= vmax", "vmin " + std::to_string(lo) + ", vmax " + std::to_string(hi));
  }
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (double v : data) if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  if (low > high) low = 0, high = 1;
  if (std::isfinite(lo)) low = lo, high = std::max(high, lo);
  if (std::isfinite(hi)) high = hi, low = std::min(low, hi);
  if (low == high) {
    double pad = low == 0 ? 0.5 : std::abs(low) * 0.5;
    low -= pad, high += pad;
  }
  return {low, high};
}

std::vector<uint8_t> colormap(std::span<const double> data, std::string_view name, double vmin, double vmax) {
  const Lut table = colormap_table(name);
  const Norm norm = norm_of(data, vmin, vmax, "viz.colormap");
  std::vector<uint8_t> rgb;
  rgb.reserve(data.size() * 3);
  for (double v : data) {
    Color c = std::isnan(v) ? Color{128, 128, 128} : table[size_t(norm.index(v))];
    rgb.insert(rgb.end(), {c.r, c.g, c.b});
  }
  return rgb;
}

}  // namespace miniten::viz
