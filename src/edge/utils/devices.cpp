#include "base/json.h"
#include "miniten/edge/devices.h"
#include <array>
#include <cmath>

namespace miniten::edge {

namespace {

// Multiply-adds a cycle at most: two 16-bit ones by SMLAD on Cortex-M4, M7 and M33; VMUL and VADD, or VFMA, for floats; by
// MULS and ADDS on Cortex-M0+; floats without an FPU about one in 50 cycles. Cortex-A53, A57, A72 and Gracemont: half the FLOPs
// a cycle that vfpbench measured; SDOT on Cortex-A76.
struct Core { const char* name; double f32, int8; const char* source; };
constexpr Core m0{"Cortex-M0+", 0.02, 0.5, "Arm Cortex-M0+ Technical Reference Manual"};
constexpr Core m4{"Cortex-M4F", 0.5, 2, "Arm Cortex-M4 Technical Reference Manual"};
constexpr Core m33{"Cortex-M33", 0.5, 2, "Arm Cortex-M33 Technical Reference Manual"};
constexpr Core m7{"Cortex-M7", 1, 2, "Arm Cortex-M7 Technical Reference Manual"};
constexpr Core lx6{"Xtensa LX6", 1, 0.5, "Xtensa Instruction Set Architecture reference manual"};
constexpr Core lx7{"Xtensa LX7", 1, 16, "ESP32-S3 Technical Reference Manual, processor instruction extensions"};
constexpr Core rv32{"RV32IMC", 0.02, 0.5, "ESP32-C3 Technical Reference Manual"};
constexpr Core a53{"Cortex-A53", 4, 8, "github.com/hiroog/vfpbench, log of a BCM2837"};
constexpr Core a57{"Cortex-A57", 4, 8, "github.com/hiroog/vfpbench, log of a Jetson Nano"};
constexpr Core a72{"Cortex-A72", 4, 8, "github.com/hiroog/vfpbench, log of a Raspberry Pi 4"};
constexpr Core a76{"Cortex-A76", 8, 32, "Arm Cortex-A76 Software Optimization Guide"};
constexpr Core gracemont{"Gracemont", 8, 32, "github.com/hiroog/vfpbench, log of an N100"};

// watts: the typical run current of the data sheet x 3.3 V (nRF52840: 3 V), or the power that the vendor names. source: where
// clock, cores, memory and watts were read, most of it the board's page of an operating system that runs on it.
struct Row { const char *name, *chip; const Core& core; double mhz; int cores; double ram_kb, flash_kb, watts; const char* source; };
const Row rows[] = {
    {"arduino_nano_33_ble", "nRF52840", m4, 64, 1, 256, 1024, 0.0100, "Nordic nRF52840 Product Specification (52 uA/MHz); docs.platformio.org nrf52840_dk"},
    {"arduino_zero", "SAMD21G18", m0, 48, 1, 32, 256, 0, "docs.zephyrproject.org boards/arduino/zero"},
    {"esp32", "ESP32-WROOM-32", lx6, 240, 2, 520, 4096, 0, "Espressif ESP32-WROOM-32D data sheet, chapter 3; docs.zephyrproject.org boards/espressif/esp32_devkitc_wroom"},
    {"esp32c3", "ESP32-C3-WROOM-02", rv32, 160, 1, 400, 4096, 0, "docs.zephyrproject.org boards/espressif/esp32c3_devkitc"},
    {"esp32s3", "ESP32-S3-WROOM-1-N8", lx7, 240, 2, 512, 8192, 0, "Espressif ESP32-S3-WROOM-1 data sheet, chapter 1; docs.waveshare.com ESP32-S3-DEV-KIT-N8R8"},
    {"intel_n100", "Intel N100", gracemont, 3400, 4, 0, 0, 6, "Intel product specifications, Processor N100 (6 W TDP, 3.4 GHz at most); github.com/hiroog/vfpbench, log of an N100"},
    {"jetson_nano", "Tegra X1", a57, 1428, 4, 4.0 * 1048576, 0, 10, "github.com/hiroog/vfpbench, log of a Jetson Nano (clock); NVIDIA Jetson Nano product page (4 GB; power mode 0 is 10 W, of the whole module)"},
    {"raspberry_pi_3b_plus", "BCM2837B0", a53, 1400, 4, 1048576, 0, 0, "github.com/raspberrypi/documentation, processors/bcm2837b0 and raspberry-pi/introduction"},
    {"raspberry_pi_4b", "BCM2711", a72, 1500, 4, 1048576, 0, 0, "github.com/raspberrypi/documentation, processors/bcm2711 and raspberry-pi/introduction (the 1 GB board)"},
    {"raspberry_pi_5", "BCM2712", a76, 2400, 4, 4.0 * 1048576, 0, 0, "github.com/raspberrypi/documentation, processors/bcm2712 and raspberry-pi/introduction (the 4 GB board)"},
    {"raspberry_pi_pico", "RP2040", m0, 133, 2, 264, 2048, 0, "docs.micropython.org rp2/general; github.com/raspberrypi/documentation, raspberry-pi/introduction"},
    {"raspberry_pi_pico2", "RP2350", m33, 150, 2, 520, 4096, 0, "docs.zephyrproject.org boards/raspberrypi/rpi_pico2"},
    {"raspberry_pi_zero_2w", "RP3A0", a53, 1000, 4, 512 * 1024, 0, 0, "github.com/raspberrypi/documentation, processors/rp3a0"},
    {"stm32f407", "STM32F407VG", m4, 168, 1, 192, 1024, 0, "docs.zephyrproject.org boards/st/stm32f4_disco"},
    {"stm32f411", "STM32F411RE", m4, 100, 1, 128, 512, 0.033, "STMicroelectronics DocID026289, STM32F411xC/xE (100 uA/MHz); docs.zephyrproject.org boards/st/nucleo_f411re"},
    {"stm32f746", "STM32F746NG", m7, 216, 1, 320, 1024, 0, "docs.kernel.org arch/arm/stm32/stm32f746-overview"},
    {"stm32h743", "STM32H743ZI", m7, 480, 1, 1024, 2048, 0, "STMicroelectronics DM00387108, STM32H743xI; docs.zephyrproject.org boards/weact/mini_stm32h743"},
    {"stm32l476", "STM32L476RG", m4, 80, 1, 128, 1024, 0.0264, "docs.zephyrproject.org boards/st/nucleo_l476rg (100 uA/MHz)"},
    {"stm32u575", "STM32U575ZI", m33, 160, 1, 786, 2048, 0.0103, "docs.zephyrproject.org boards/st/nucleo_u575zi_q (19.5 uA/MHz); doc.riot-os.org boards/nucleo-u575zi-q"},
    {"teensy_41", "i.MX RT1062", m7, 600, 1, 1024, 7936, 0, "docs.zephyrproject.org boards/pjrc/teensy4; docs.platformio.org boards/teensy/teensy41 (7.75 MB of flash for programs)"},
};

// Of the peak that kernels reach: 249 million operations a second of 864 million on a Cortex-M7 at 216 MHz (Lai, Suda,
// Chandra, "CMSIS-NN", arXiv:1801.06601).
constexpr double reached = 249.0 / 864.0;

std::vector<Device> make_devices() {
  std::vector<Device> all;
  for (const Row& r : rows) {
    Device d;
    d.name = r.name;
    d.chip = r.chip;
    d.core = r.core.name;
    d.clock_mhz = r.mhz;
    d.cores = r.cores;
    double cycles = r.mhz * 1e6 * r.cores;
    d.macs_per_second = {{"float32", r.core.f32 * cycles}, {"int8", r.core.int8 * cycles}};
    d.ram_kb = r.ram_kb;
    d.flash_kb = r.flash_kb;
    d.watts = r.watts;
    d.source = std::string(r.source) + "; " + r.core.source;
    d.slowdown = {{"*", 1 / reached}};
    d.error = 1;
    all.push_back(std::move(d));
  }
  return all;
}

size_t edits(std::string_view a, std::string_view b) {             // Levenshtein's distance
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t corner = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t here = std::min({row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1])});
      corner = row[j];
      row[j] = here;
    }
  }
  return row.back();
}

}  // namespace

const std::vector<Device>& devices() {
  static const std::vector<Device> all = make_devices();
  return all;
}
const Device& find_device(std::string_view name) {
  const Device* nearest = nullptr;
  size_t least = SIZE_MAX;
  std::string names;
  for (const Device& d : devices()) {
    if (d.name == name) return d;
    names += (names.empty() ? "" : ", ") + d.name;
    if (size_t n = edits(d.name, name); n < least) { least = n; nearest = &d; }
  }
  throw Error(ErrorKind::value, "device", "one of " + names, "\"" + std::string(name) + "\"", "the nearest name is " + nearest->name);
}

std::string Device::to_text() const {
  char s[256];
  std::string text = name + ": " + chip + (core.empty() ? "" : ", " + core) + "\n";
  std::snprintf(s, sizeof s, "%d core%s%s", cores, cores == 1 ? "" : "s", clock_mhz > 0 ? "" : "\n");
  text += s;
  if (clock_mhz > 0) {
    std::snprintf(s, sizeof s, " at %.0f MHz\n", clock_mhz);
    text += s;
  }
  for (auto& [dtype, rate] : macs_per_second) {
    std::snprintf(s, sizeof s, "%-8s %10.4g million MACs/s\n", dtype.c_str(), rate / 1e6);
    text += s;
  }
  if (bytes_per_second > 0) {
    std::snprintf(s, sizeof s, "memory   %10.4g GB/s, in the cache %.4g GB/s\n", bytes_per_second / 1e9, cache_bytes_per_second / 1e9);
    text += s;
  }
  if (ram_kb > 0) text += "RAM      " + std::to_string(int64_t(ram_kb)) + " KB\n";
  if (flash_kb > 0) text += "flash    " + std::to_string(int64_t(flash_kb)) + " KB\n";
  std::snprintf(s, sizeof s, "predicted latencies are off by %.0f %% (%s)\n", 100 * error, measured ? "median, leave one net out" : "peak rates of the architecture, not measured");
  return text + s + source + "\n";
}
std::string Device::to_json() const {
  nlohmann::ordered_json j{{"name", name}, {"chip", chip}, {"core", core}, {"clock_mhz", clock_mhz}, {"cores", cores}, {"macs_per_second", macs_per_second},
                                {"bytes_per_second", bytes_per_second}, {"cache_bytes_per_second", cache_bytes_per_second}, {"cache_bytes", cache_bytes},
                                {"ram_kb", ram_kb}, {"flash_kb", flash_kb}, {"watts", watts}, {"source", source}, {"slowdown", slowdown},
                                {"step_seconds", step_seconds}, {"error", error}, {"measured", measured}};
  for (auto& [kind, of_kind] : steps)
    for (const MeasuredStep& m : of_kind) j["steps"][kind].push_back({m.outputs, m.products, m.channels, m.footprint, m.slowdown});
  return j.dump();
}
Device Device::from_json(std::string_view text) {
  try {
    auto j = parse_json(text);
    Device d;
    d.name = j.at("name");
    d.chip = j.value("chip", "");
    d.core = j.value("core", "");
    d.source = j.value("source", "");
    d.cores = j.value("cores", 1);
    d.macs_per_second = j.at("macs_per_second").get<std::map<std::string, double>>();
    d.slowdown = j.value("slowdown", std::map<std::string, double>{{"*", 1.0}});
    d.measured = j.value("measured", false);
    for (auto [key, to] : {std::pair{"clock_mhz", &d.clock_mhz}, {"bytes_per_second", &d.bytes_per_second}, {"cache_bytes_per_second", &d.cache_bytes_per_second},
                           {"cache_bytes", &d.cache_bytes}, {"ram_kb", &d.ram_kb}, {"flash_kb", &d.flash_kb}, {"watts", &d.watts}, {"step_seconds", &d.step_seconds}, {"error", &d.error}}) {
      *to = j.value(key, *to);
      if (!(*to >= 0) || std::isinf(*to)) throw Error(ErrorKind::value, "device", std::string(key) + " of 0 or more", std::to_string(*to));
    }
    if (j.contains("steps"))
      for (auto& [kind, of_kind] : j["steps"].items())
        for (auto& row : of_kind) {
          auto v = row.get<std::array<double, 5>>();
          for (double x : v) if (!(x >= 0) || std::isinf(x)) throw Error(ErrorKind::value, "device", "steps of numbers of 0 or more", row.dump());
          if (!(v[4] > 0)) throw Error(ErrorKind::value, "device", "a slowdown above 0", row.dump());
          d.steps[kind].push_back({v[0], v[1], v[2], v[3], v[4]});
        }
    for (auto& [key, v] : d.macs_per_second)
      if (!(v > 0) || std::isinf(v)) throw Error(ErrorKind::value, "device", "macs_per_second above 0", std::to_string(v));
    for (auto& [key, v] : d.slowdown)
      if (!(v > 0) || std::isinf(v)) throw Error(ErrorKind::value, "device", "a slowdown above 0", std::to_string(v));
    if (!d.macs_per_second.count("float32") || !d.macs_per_second.count("int8"))
      throw Error(ErrorKind::value, "device", "macs_per_second of float32 and int8", j.at("macs_per_second").dump());
    return d;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::value, "device", "the JSON that a device's to_json writes", e.what());
  }
}

}  // namespace miniten::edge
