#pragma once
#include <map>
#include <optional>
#include "miniten/cli/cli.h"
#include "miniten/edge/budget.h"

// One function for each command of the program; program.cpp fills the structs from the arguments.
namespace miniten::cli {

struct Output {
  std::ostream& out;
  bool json = false;             // one JSON document on a line instead of text
  const Peers& peers;
  bool on_terminal() const;      // and colours are welcome
};
// -> exit code. What the arguments got wrong throws WrongUse, what was right and did not come off Failed; other errors are
// the library's.
struct WrongUse { std::string text; };
struct Failed { std::string text; };
void show_progress(const std::string& text);     // on standard error's last line where that is a terminal; "" wipes it
struct Doing {                                   // says so while it lives
  explicit Doing(const std::string& what) { show_progress(what); }
  ~Doing() { show_progress(""); }
  Doing(const Doing&) = delete;
};
struct Progress {                                // of one piece of work: "measuring 42 %", not more than some times a second
  std::string what;
  double shown = -1;
  void operator()(double share);                 // 1 wipes the line
};

struct Inspect { std::string file, device; std::vector<std::string> shapes; bool graph = false; int depth = 0; };
int inspect(const Inspect&, Output);

struct Images {
  std::vector<std::string> files;
  std::string fit = "crop", normalize = "unit";
  std::vector<double> mean, std;                 // instead of normalize's
};
struct Run {
  std::string file, output, labels;
  Images images;
  std::vector<std::string> inputs;               // x.npy, name=x.npy or x.npz
  int top = 0, threads = 0;                      // 0: no ranking; MiniTen's own number
};
int run(const Run&, Output);

struct WriteOptions {                            // of a model file
  int opset = 0;                                 // of .onnx; 0: the exporter's default
  std::string entropy;                           // of .npz: huffman or rans
  bool sparse = false;                           // of .onnx and .tflite: constants with many zeros as sparse ones
};

struct Convert {
  std::string in, out, quantize, calibration;        // quantize: of .tflite files
  std::vector<std::string> shapes;
  WriteOptions write;
};
int convert(const Convert&, Output);

struct ExportC {
  std::string in, directory, name = "model", calibration, verify;
  std::vector<std::string> shapes;
  std::optional<double> max_ram_kb;
  bool streaming = false;
};
int export_c(const ExportC&, Output);

struct Package {
  std::string in, out, name = "model", license, verify;
  std::vector<std::string> targets, shapes, inputs;
};
int package(const Package&, Output);

struct Quantize {
  std::string in, out, dtype = "int8", calibration, method = "minmax", mode = "static", optimize = "none", fallback = "none", report;
  std::vector<std::string> skip, layers;         // layers: "head:dtype=int16,per_channel=false"
  bool per_tensor = false, symmetric_activations = false;
  std::optional<double> percentile;
  WriteOptions write;
};
int quantize(const Quantize&, Output);

struct Prune {
  std::string in, out, method = "magnitude", scope = "global", importance = "l1", target, pattern;
  std::optional<double> sparsity;
  std::vector<std::string> skip;
  uint64_t seed = 0;
  WriteOptions write;
  int min_channels = 1, round_to = 1;
};
int prune(const Prune&, Output);

struct Compress {
  std::string in, out, data, targets, journal;
  std::vector<std::string> limits;           // "flash_kb=200" and the like, beside what `budget` says
  edge::CompressBudget budget;
  uint64_t seed = 0;
  WriteOptions write;
};
int compress(const Compress&, Output);

struct Diff {
  std::string a, b;
  std::vector<std::string> inputs, shapes;
  double tolerance = 1e-3;
};
int diff(const Diff&, Output);

struct Bench {
  std::string file;
  std::vector<std::string> shapes, inputs, against;      // against: other models and runtimes, in interleaved rounds
  std::string report;
  int runs = 100, warmup = 10, threads = 0;
  double period_ms = 0, soak_seconds = 0;        // above 0: see BenchmarkOptions, soak_test
  std::optional<double> target_ms, percentile;
};
int bench(const Bench&, Output);

struct Profile { std::string file; std::vector<std::string> shapes; int runs = 20; };
int profile(const Profile&, Output);

struct Estimate {
  std::string file, device = "cpu", training;    // training: an optimizer's name
  std::vector<std::string> shapes;
  std::optional<double> ops_per_watt, watts, limit_mb;
};
int estimate(const Estimate&, Output);

struct Check { std::string file, device; std::vector<std::string> shapes; std::map<std::string, double> limits; };
int check(const Check&, Output);

struct Monitor { std::string dir, run; int width = 0; std::optional<double> follow; bool plain = false; };   // width 0: the terminal's
int watch_runs(const Monitor&, Output);

struct Demo { std::string directory = "miniten-demo"; };
int demo(const Demo&, Output);

struct Probe { std::string output; int threads = 1; };
int probe(const Probe&, Output);

int version(Output);

}  // namespace miniten::cli
