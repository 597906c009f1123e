#pragma once
#include <functional>
#include <map>
#include "miniten/nn/module.h"

namespace miniten::edge {

// A step that was measured: what tells it from others of its kind, and how much longer than its roofline it took.
struct MeasuredStep {
  double outputs = 0, products = 0, channels = 0;      // elements of its outputs, multiply-adds for one of them, its width
  double footprint = 0;                                // bytes of the whole model's weights and arena: what stays in the cache
  double slowdown = 1;
};
// What a chip or a machine can do: docs/edge/devices.md. Rates of the table are peaks of the architecture for all cores
// (clock x multiply-adds a cycle); `probe` measures them.
struct Device {
  std::string name, chip, core;
  double clock_mhz = 0;
  int cores = 1;
  std::map<std::string, double> macs_per_second;       // by dtype: "float32", "int8"
  double bytes_per_second = 0;                         // to and from main memory; 0: not known
  double cache_bytes_per_second = 0, cache_bytes = 0;  // of what fits into this much; 0: not known
  double ram_kb = 0, flash_kb = 0;                     // 0: not known, or as large as what is put in
  double watts = 0;                                    // while computing; 0: not known
  std::string source;                                  // where the figures stand, or how they were measured
  // How much longer a step takes than its roofline says, by kind: the op, "+" where its weights are in Winograd's form, " int8"
  // of integers. Of a table's device one figure for all ("*"); of a probed one what was measured, and its geometric means.
  std::map<std::string, double> slowdown;
  std::map<std::string, std::vector<MeasuredStep>> steps;
  double step_seconds = 0;                             // of any step, however small
  double error = 0;                                    // of predicted latencies: the median of |predicted - measured| / measured
                                                       // where it was measured; 1 for the table: a factor of about two
  bool measured = false;
  std::string to_text() const;
  std::string to_json() const;
  static Device from_json(std::string_view);
};
const std::vector<Device>& devices();                  // by name
const Device& find_device(std::string_view name);      // throws for an unknown one, telling the nearest names

// This machine: peak rates by MiniTen's own kernels. Takes some tenths of a second.
Device peak_rates(int threads = 1);
// The same, and for predictions how single layers and small nets run beside their roofline; error is leave-one-out over those
// nets. Takes some seconds; progress is told the share done.
Device probe(int threads = 1, const std::function<void(double)>& progress = {});

// The time that a step cannot beat: work over peak rate, or bytes over bandwidth, whichever is more.
double roofline_seconds(const Device&, const Cost&, size_t bytes, bool integers);

// Steps of the compiled model, each its roofline times a slowdown: of a probed device the mean over the measured steps that are
// most like it. An estimate: `error` says how good.
struct LatencyEstimate {
  std::string device;
  double latency_ms = 0, error = 0;
  bool measured = false;                               // the device was probed
  std::string to_json() const;
};
LatencyEstimate estimate_latency(nn::Module& model, const std::vector<Spec>& inputs, const Device&);

// Hours that a battery lasts at this rate of inferences; between them the device draws sleep_watts. Throws where inferences
// take longer than an hour has, and for a device whose watts are not known and not given.
struct BatteryLife {
  std::string device;
  double hours = 0, latency_ms = 0, energy_per_inference_mj = 0, duty_cycle = 0, error = 0;
  std::string to_json() const;
};
struct BatteryOptions { double capacity_mah = 0, voltage = 3.7, inferences_per_hour = 3600, sleep_watts = 0, watts = 0; };   // watts 0: the device's
BatteryLife battery_life(nn::Module& model, const std::vector<Spec>& inputs, const Device&, const BatteryOptions&);

}  // namespace miniten::edge
