#include <CLI/CLI.hpp>
#include <functional>
#include "cli/commands.h"
#include "miniten/base/error.h"
#include "miniten/cli/cli.h"

namespace miniten::cli {

namespace {

CLI::Validator positive() {
  return {[](std::string& text) {
            int n = 0;
            bool whole = CLI::detail::lexical_cast(text, n);
            return whole && n > 0 ? std::string() : "a number above 0 is wanted, got \"" + text + "\"";
          }, "above 0"};
}

// What one command adds to the program; `call` runs after everything was parsed.
struct Command {
  CLI::App* app;
  bool json = false;
  std::function<int(Output)> call;
};

struct Program {
  CLI::App app{"Edge deep learning at the command line: look at models, run, shrink and measure them.", "miniten"};
  std::vector<std::unique_ptr<Command>> commands;

  // options fills a struct of this type; function is called with it.
  template <class Options> Options& add(const char* name, const char* what, const char* examples, int (*function)(const Options&, Output)) {
    auto options = std::make_shared<Options>();
    Command& c = begin(name, what, examples);
    c.call = [options, function](Output to) { return function(*options, to); };
    return *options;
  }
  Command& begin(const char* name, const char* what, const char* examples) {
    Command& c = *commands.emplace_back(std::make_unique<Command>());
    c.app = app.add_subcommand(name, what);
    c.app->footer(examples);
    c.app->add_flag("--json", c.json, "One JSON document instead of text");
    return c;
  }
  CLI::App& last() { return *commands.back()->app; }

  // ---- options that many commands have ----
  void file(std::string& to) { last().add_option("FILE", to, "Model: .npz, .onnx or .tflite")->required(); }
  void in_out(std::string& in, std::string& out, int& opset) {
    last().add_option("IN", in, "Model to read: .npz, .onnx or .tflite")->required();
    last().add_option("OUT", out, "Model to write: .npz, .onnx or .tflite")->required();
    last().add_option("--opset", opset, "Opset of an .onnx OUT")->check(positive());
  }
  void shape(std::vector<std::string>& to) {
    last().add_option("--shape", to, "Sizes of an input: 1,3,224,224 or name=1,3,224,224; open sizes are 1")->allow_extra_args(false);
  }
  void threads(int& to) { last().add_option("--threads", to, "Threads (default: what the system allows)")->check(positive()); }
  void skip(std::vector<std::string>& to) { last().add_option("--skip", to, "Layers to leave as they are: names with * and ?")->allow_extra_args(false); }

  Program() {
    app.require_subcommand(1);
    app.get_formatter()->column_width(30);
    app.footer("Examples:\n"
               "  miniten inspect model.onnx                            what is in a file\n"
               "  miniten run model.onnx --input x.npy                  what it computes\n"
               "  miniten quantize model.onnx small.npz --calibration d.npy\n"
               "  miniten bench small.npz --threads 1                   how fast it is\n"
               "  miniten check small.npz --max-flash-kb 256            whether it fits\n"
               "miniten COMMAND --help has the options of each.\n\n"
               "Exit code: 0 done, 1 the thing asked failed, 2 wrong use (nothing is written then).");
    {
      Inspect& o = add<Inspect>("inspect", "Inputs, outputs, layers, sizes of a model",
                                "Examples:\n  miniten inspect model.onnx\n  miniten inspect model.npz --shape 8,3,224,224 --json", inspect);
      file(o.file);
      shape(o.shapes);
      last().add_flag("--graph", o.graph, "Every node and value too");
    }
    {
      Run& o = add<Run>("run", "Run a model on arrays",
                        "Examples:\n  miniten run model.onnx --input x.npy --output y.npz\n"
                        "  miniten run model.npz --input x.npy --labels labels.txt --top 3\n"
                        "  miniten run two.onnx --input a=first.npy --input b=second.npy", run);
      file(o.file);
      last().add_option("--input", o.inputs, "x.npy in order, name=x.npy, or a .npz of names; without: random numbers")->allow_extra_args(false);
      last().add_option("--output", o.output, "Write the outputs to this .npz");
      last().add_option("--top", o.top, "Show the N greatest along the last axis")->check(positive());
      last().add_option("--labels", o.labels, "Text file, a class on each line (--top 5 unless given)");
      threads(o.threads);
    }
    {
      Convert& o = add<Convert>("convert", "Write a model in another format",
                                "Examples:\n  miniten convert model.onnx model.npz\n  miniten convert model.npz model.onnx --opset 17 --shape 1,3,224,224\n"
                                "  miniten convert model.npz int8.tflite --quantize int8 --calibration samples.npy", convert);
      in_out(o.in, o.out, o.opset);
      last().add_option("--quantize", o.quantize, "Of a .tflite OUT: int8, int16x8, dynamic or float16");
      last().add_option("--calibration", o.calibration, "Samples along the first axis: .npy, or .npz by the inputs' names");
      shape(o.shapes);
    }
    {
      ExportC& o = add<ExportC>("export-c", "Write a model as C99 for microcontrollers",
                                "Writes NAME.h, NAME.c and NAME_self_test.c: no allocation, weights as const arrays, one static arena.\n\n"
                                "Examples:\n  miniten export-c int8.npz firmware/ --name keyword --verify host\n"
                                "  miniten export-c model.onnx firmware/ --shape 1,3,32,32 --calibration d.npy --max-ram-kb 64", export_c);
      file(o.in);
      last().add_option("DIR", o.directory, "Folder of the C files")->required();
      last().add_option("--name", o.name, "Of the files and functions")->capture_default_str();
      shape(o.shapes);
      last().add_option("--calibration", o.calibration, "Quantise to int8 with these samples: .npy, or .npz by the inputs' names");
      last().add_option("--max-ram-kb", o.max_ram_kb, "Fail where more working memory is needed");
      last().add_option("--verify", o.verify, "host or qemu: compile and run the self-test first");
    }
    {
      Quantize& o = add<Quantize>("quantize", "Compute in integers: smaller and often faster",
                                  "Without --calibration activations get their scales at run time.\n\n"
                                  "Examples:\n  miniten quantize model.onnx int8.npz --calibration samples.npy\n"
                                  "  miniten quantize model.npz int8.onnx --calibration d.npz --method mse --skip head\n"
                                  "  miniten quantize model.onnx int8.npz --calibration d.npz --report layers.html", quantize);
      in_out(o.in, o.out, o.opset);
      last().add_option("--dtype", o.dtype, "Of the weights")->capture_default_str();
      last().add_option("--calibration", o.calibration, "Samples along the first axis: .npy, or .npz by the inputs' names");
      last().add_option("--method", o.method, "How ranges follow from data: minmax, moving_average, percentile, mse")->capture_default_str();
      last().add_option("--percentile", o.percentile, "Of --method percentile");
      last().add_option("--mode", o.mode, "static, dynamic or weight_only")->capture_default_str();
      last().add_flag("--per-tensor", o.per_tensor, "One scale for a weight, not one for each channel");
      last().add_flag("--symmetric-activations", o.symmetric_activations, "Zero point 0 for activations");
      last().add_option("--report", o.report, "What each layer loses on the calibration samples, why, and what helps: .html, .json or .txt");
      skip(o.skip);
    }
    {
      Prune& o = add<Prune>("prune", "Make weights zero, or cut channels out: smaller files",
                            "Examples:\n  miniten prune model.onnx sparse.npz --sparsity 0.8\n  miniten prune model.npz sparse.npz --sparsity 0.5 --scope layer --skip head", prune);
      in_out(o.in, o.out, o.opset);
      last().add_option("--sparsity", o.sparsity, "Share of zeros, from 0 to below 1")->required();
      last().add_option("--method", o.method, "magnitude, lamp or random: zeros; structured: channels are cut out")->capture_default_str();
      last().add_option("--scope", o.scope, "global, or layer: each to the same sparsity")->capture_default_str();
      last().add_option("--seed", o.seed, "Of --method random")->capture_default_str();
      skip(o.skip);
    }
    {
      Bench& o = add<Bench>("bench", "Measure latency",
                            "Examples:\n  miniten bench model.onnx\n  miniten bench model.onnx --shape 1,3,224,224 --runs 500 --threads 1 --json\n"
                            "  miniten bench float.npz --against int8.npz            which is faster, and by how much\n"
                            "  miniten bench model.npz --soak 600                    does memory grow, does it slow down?", bench);
      file(o.file);
      shape(o.shapes);
      last().add_option("--runs", o.runs, "Timed runs")->capture_default_str();
      last().add_option("--warmup", o.warmup, "Runs before them")->capture_default_str();
      last().add_option("--against", o.against, "Another model, compared in interleaved rounds")->allow_extra_args(false);
      last().add_option("--period-ms", o.period_ms, "Begin one inference every so often");
      last().add_option("--soak", o.soak_seconds, "Run for this many seconds instead: memory growth, latency drift");
      threads(o.threads);
    }
    {
      Profile& o = add<Profile>("profile", "Where the time goes, layer by layer", "Example:\n  miniten profile model.onnx --shape 1,3,224,224", profile);
      file(o.file);
      shape(o.shapes);
      last().add_option("--runs", o.runs, "Runs; the median counts")->capture_default_str();
    }
    {
      Estimate& o = add<Estimate>("estimate", "Parameters, FLOPs, memory and energy without running",
                                  "Examples:\n  miniten estimate model.onnx\n  miniten estimate model.npz --device stm32f411\n  miniten estimate model.npz --device here.json         (written by miniten probe)", estimate);
      file(o.file);
      shape(o.shapes);
      last().add_option("--device", o.device, "cpu, gpu, edge_cpu, npu, dsp; a board, as stm32f411; or a .json of miniten probe")->capture_default_str();
      last().add_option("--ops-per-watt", o.ops_per_watt, "Operations for a watt-second, instead of the device's");
    }
    {
      Check& o = add<Check>("check", "Does a model fit? Exit code 1 where it does not",
                            "Without limits: 10 million parameters, 100 MB, 1e9 FLOPs.\n\n"
                            "Examples:\n  miniten check model.npz --device stm32f411\n  miniten check model.npz --max-flash-kb 512 --max-ram-kb 128 --max-latency-ms 20", check);
      file(o.file);
      last().add_option("--device", o.device, "RAM and flash of a board, as stm32f411, or of a .json profile");
      shape(o.shapes);
      for (auto [option, key, what] : {std::tuple{"--max-parameters", "max_parameters", "Parameters"}, {"--max-memory-mb", "max_memory_mb", "Parameters, input and activations"},
                                       {"--max-flops", "max_flops", "FLOPs of an inference"}, {"--max-latency-ms", "max_latency_ms", "Median on this machine, one thread"},
                                       {"--max-flash-kb", "max_flash_kb", "Parameters"}, {"--max-ram-kb", "max_ram_kb", "Input and activations"}})
        last().add_option_function<double>(option, [&o, key = std::string(key)](double limit) { o.limits[key] = limit; }, what);
    }
    {
      Monitor& o = add<Monitor>("monitor", "Runs that were logged: a table and curves",
                                "--json gives every run and point.\n\n"
                                "Examples:\n  miniten monitor runs\n  miniten monitor runs --follow 2 --run baseline_20260131-120000", watch_runs);
      last().add_option("DIR", o.dir, "Folder of runs")->required();
      last().add_option("--run", o.run, "Whose curves (default: the newest)");
      last().add_option("--follow", o.follow, "Draw again every so many seconds until the run ends")->check(CLI::Range(0.1, 3600.0));
      last().add_option("--width", o.width, "Columns")->check(CLI::Range(40, 1000));
      last().add_flag("--plain", o.plain, "No colours");
    }
    {
      Probe& o = add<Probe>("probe", "Measure this machine, for estimate --device", "Example:\n  miniten probe --output here.json && miniten estimate model.npz --device here.json", probe);
      last().add_option("--output", o.output, "Write the profile to this .json");
      threads(o.threads);
    }
    begin("version", "Version of MiniTen", "").call = version;
  }
};

}  // namespace

int main(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  std::string who = "miniten";
  auto complain = [&](const std::string& text, int code) {
    err << who << ": " << text << "\n";
    if (code == 2) err << who << " --help tells how\n";
    return code;
  };
  try {
    Program p;
    if (args.empty()) {
      err << p.app.help();
      return 2;
    }
    auto is_asked = [&](auto& c) { return c->app->get_name() == args[0]; };
    if (!args[0].starts_with('-') && std::none_of(p.commands.begin(), p.commands.end(), is_asked)) return complain("there is no command \"" + args[0] + "\"", 2);
    try {
      std::vector<std::string> reversed(args.rbegin(), args.rend());
      p.app.parse(reversed);
    } catch (const CLI::ParseError& e) {
      for (const CLI::App* c : p.app.get_subcommands()) who += " " + c->get_name();
      if (e.get_exit_code() == 0) return p.app.exit(e, out, err);
      return complain(e.what(), 2);
    }
    for (auto& c : p.commands) {
      if (!c->app->parsed()) continue;
      who += " " + c->app->get_name();
      int code = c->call({out, c->json});
      out.flush();
      return out ? code : complain("the output could not be written", 1);
    }
    return complain("a command is wanted", 2);
  } catch (const WrongUse& e) {
    return complain(e.text, 2);
  } catch (const Error& e) {
    return complain(e.what(), e.kind() == ErrorKind::unsupported || e.kind() == ErrorKind::io ? 1 : 2);
  } catch (const std::bad_alloc&) {
    return complain("there is not enough memory", 1);
  } catch (const std::exception& e) {
    return complain(e.what(), 1);
  }
}

}  // namespace miniten::cli
