#include "cli/files.h"
#include "cli/program.h"
#include "miniten/edge/devices.h"

// The options and help of every command.
namespace miniten::cli {

Command& Program::begin(const char* name, const char* what, const char* examples) {
  Command& c = *commands.emplace_back(std::make_unique<Command>());
  c.app = app.add_subcommand(name, what);
  c.app->footer(std::string(examples) + (*examples ? "\n\n" : "") + "Exit code: 0 done, 1 the thing asked failed, 2 wrong use.");
  c.app->add_flag("--json", c.json, "One JSON document instead of text");
  return c;
}
void Program::file(std::string& to, const char* name, const char* what) {
  last().add_option(name, to, what)->required();
  if (!last().get_option_no_throw("--load-limit-mb"))
    last().add_option("--load-limit-mb", load_limit_mb(), "Refuse a file that needs more memory to be read")->check(CLI::Range(1e-3, 1e9))->capture_default_str();
}
void Program::in_out(std::string& in, std::string& out, WriteOptions& write) {
  file(in, "IN", "Model to read: .npz, .onnx or .tflite");
  last().add_option("OUT", out, "Model to write: .npz, .onnx or .tflite")->required();
  last().add_option("--opset", write.opset, "Opset of an .onnx OUT")->check(positive());
  last().add_flag("--sparse", write.sparse, "Of an .onnx or .tflite OUT: weights with many zeros as sparse ones, where that is smaller");
  one_of(last().add_option("--entropy", write.entropy, "Of an .npz OUT: huffman or rans, frequent values of shared weights take fewer bits"), "huffman rans");
}
void Program::shape(std::vector<std::string>& to) {
  last().add_option("--shape", to, "Sizes of an input: 1,3,224,224 or name=1,3,224,224; open sizes are 1")->allow_extra_args(false);
}
void Program::input(std::vector<std::string>& to) {
  last().add_option("--input", to, "x.npy in order, name=x.npy, or a .npz of names; without: random numbers")->allow_extra_args(false);
}
void Program::threads(int& to) { last().add_option("--threads", to, "Threads (default: what the system allows)")->check(positive()); }
void Program::skip(std::vector<std::string>& to) { last().add_option("--skip", to, "Layers to leave as they are: names with * and ?")->allow_extra_args(false); }
void Program::one_of(CLI::Option* o, std::string choices) { words[o] = std::move(choices); }
void Program::device(std::string& to, const char* what) {
  std::string names;
  for (const edge::Device& d : edge::devices()) names += (names.empty() ? "" : " ") + d.name;
  one_of(last().add_option("--device", to, what), names);
}

Program::Program() {
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
  models();
  measurements();
  {
    Monitor& o = add<Monitor>("monitor", "Runs that were logged: a table and curves",
                              "--json gives every run and point.\n\n"
                              "Examples:\n  miniten monitor runs\n  miniten monitor runs --follow 2 --run baseline_20260131-120000", watch_runs);
    last().add_option("DIR", o.dir, "Folder of runs")->required();
    last().add_option("--run", o.run, "Whose curves (default: the newest)");
    last().add_option("--follow", o.follow, "Draw again every so many seconds until the run ends")->check(CLI::Range(0.1, 3600.0));
    last().add_option("--width", o.width, "Columns")->check(CLI::Range(40, 1000));
    last().add_flag("--plain", o.plain, "No colours (there are none where the output is no terminal)");
  }
  {
    Demo& o = add<Demo>("demo", "Train, shrink and measure a small net on pictures drawn here: files to try the rest on", "Example:\n  miniten demo && cd miniten-demo && miniten inspect shapes.onnx", demo);
    last().add_option("DIR", o.directory, "Folder to write to")->capture_default_str();
  }
  {
    auto shell = std::make_shared<std::string>();
    begin("completion", "What bash, zsh or fish needs to complete this program's words",
          "Examples:\n  eval \"$(miniten completion bash)\"                       in ~/.bashrc\n"
          "  miniten completion zsh > ~/.zfunc/_miniten            a folder of $fpath\n"
          "  miniten completion fish > ~/.config/fish/completions/miniten.fish")
        .call = [this, shell](Output to) { return completion(*this, *shell, to); };
    one_of(last().add_option("SHELL", *shell, "bash, zsh or fish")->required(), "bash zsh fish");
  }
  begin("version", "Version of MiniTen", "").call = version;
}

void Program::models() {
  {
    Inspect& o = add<Inspect>("inspect", "Inputs, outputs, layers, sizes of a model",
                              "Examples:\n  miniten inspect model.onnx\n  miniten inspect model.npz --shape 8,3,224,224 --json\n  miniten inspect model.npz --depth 1 --device stm32f746", inspect);
    file(o.file);
    shape(o.shapes);
    last().add_option("--depth", o.depth, "Fold deeper layers: features.0.conv is part of features at 1")->check(positive());
    device(o.device, "Predict each layer's time on a board, as stm32f411, or on a .json of miniten probe");
    last().add_flag("--graph", o.graph, "Every node and value too");
  }
  {
    Run& o = add<Run>("run", "Run a model on arrays or images",
                      "Examples:\n  miniten run model.onnx --input x.npy --output y.npz\n"
                      "  miniten run model.onnx --image cat.png --normalize imagenet --labels labels.txt --top 5\n"
                      "  miniten run model.npz --input x.npy --labels labels.txt --top 3\n"
                      "  miniten run two.onnx --input a=first.npy --input b=second.npy", run);
    file(o.file);
    input(o.inputs);
    last().add_option("--image", o.images.files, "PNG, JPEG, BMP, PPM or PGM for the input that takes pictures; several are a batch")->allow_extra_args(false);
    one_of(last().add_option("--fit", o.images.fit, "Of images: crop keeps the middle, stretch all of it, pad adds borders")->capture_default_str(), "crop stretch pad");
    one_of(last().add_option("--normalize", o.images.normalize, "Of images: unit is 0 to 1, symmetric -1 to 1, imagenet its means and deviations, none 0 to 255")->capture_default_str(),
           "unit symmetric imagenet none");
    last().add_option("--mean", o.images.mean, "Of images instead, from 0 to 1: one number or one for each channel, 0.5,0.5,0.5")->delimiter(',');
    last().add_option("--std", o.images.std, "What is divided by after --mean")->delimiter(',');
    last().add_option("--output", o.output, "Write the outputs to this .npz");
    last().add_option("--top", o.top, "Show the N greatest along the last axis")->check(positive());
    last().add_option("--labels", o.labels, "Text file, a class on each line (--top 5 unless given)");
    threads(o.threads);
  }
  {
    Convert& o = add<Convert>("convert", "Write a model in another format",
                              "Examples:\n  miniten convert model.onnx model.npz\n  miniten convert model.npz model.onnx --opset 17 --shape 1,3,224,224\n"
                              "  miniten convert model.npz int8.tflite --quantize int8 --calibration samples.npy", convert);
    in_out(o.in, o.out, o.write);
    one_of(last().add_option("--quantize", o.quantize, "Of a .tflite OUT: int8, int16x8, dynamic or float16"), "int8 int16x8 dynamic float16");
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
    last().add_flag("--streaming", o.streaming, "Recurrent layers go on where the call before ended: NAME_step and NAME_reset");
    one_of(last().add_option("--verify", o.verify, "host or qemu: compile and run the self-test first"), "host qemu");
  }
  {
    Package& o = add<Package>("package", "Bundle a model for others: its forms, golden data, licences, a check",
                              "Whoever gets OUT.zip runs ./check.sh in it.\n\n"
                              "Examples:\n  miniten package int8.npz keyword.zip --name keyword\n"
                              "  miniten package model.onnx out.zip --target c --target onnx --input x.npy --license MIT", package);
    file(o.in, "IN", "Model to read: .npz, .onnx or .tflite");
    last().add_option("OUT", o.out, "Bundle to write: .zip")->required();
    one_of(last().add_option("--target", o.targets, "onnx, tflite or c, beside the .npz; without: all of them")->allow_extra_args(false), "onnx tflite c");
    last().add_option("--name", o.name, "Of the files and of C's functions")->capture_default_str();
    shape(o.shapes);
    last().add_option("--input", o.inputs, "What the golden outputs are computed of: x.npy in order, name=x.npy, or a .npz of names; without: random numbers")->allow_extra_args(false);
    last().add_option("--license", o.license, "Of the model, in a few words");
    one_of(last().add_option("--verify", o.verify, "Of C: host or qemu: compile and run the self-test first"), "host qemu");
  }
  {
    Quantize& o = add<Quantize>("quantize", "Compute in integers: smaller and often faster",
                                "Without --calibration activations get their scales at run time.\n\n"
                                "Examples:\n  miniten quantize model.onnx int8.npz --calibration samples.npy\n"
                                "  miniten quantize model.npz int8.onnx --calibration d.npz --method mse --skip head\n"
                                "  miniten quantize model.npz mixed.npz --calibration d.npz --layer head:dtype=int16 --layer 'conv2d:per_channel=false'\n"
                                "  miniten quantize model.npz fast.npz --calibration d.npz --fallback auto\n"
                                "  miniten quantize model.onnx int8.npz --calibration d.npz --report layers.html", quantize);
    in_out(o.in, o.out, o.write);
    one_of(last().add_option("--dtype", o.dtype, "Of the weights")->capture_default_str(), "int8 int16 int16x8");
    last().add_option("--calibration", o.calibration, "Samples along the first axis: .npy, or .npz by the inputs' names");
    one_of(last().add_option("--method", o.method, "How ranges follow from data: minmax, moving_average, percentile, entropy, mse or auto")->capture_default_str(),
           "minmax moving_average percentile entropy mse auto");
    last().add_option("--percentile", o.percentile, "Of --method percentile");
    one_of(last().add_option("--mode", o.mode, "static, dynamic or weight_only")->capture_default_str(), "static dynamic weight_only");
    last().add_flag("--per-tensor", o.per_tensor, "One scale for a weight, not one for each channel");
    last().add_flag("--symmetric-activations", o.symmetric_activations, "Zero point 0 for activations");
    one_of(last().add_option("--optimize", o.optimize, "accuracy: adaptive rounding, bias correction, the best method for each value")->capture_default_str(), "none accuracy");
    last().add_option("--layer", o.layers, "NAME:KEY=VALUE,.. for layers by name, by op or by number (#0): dtype, mode, method, skip, per_channel ..")->allow_extra_args(false);
    one_of(last().add_option("--fallback", o.fallback, "auto: layers that are faster in floats, timed here, stay so")->capture_default_str(), "none auto");
    last().add_option("--report", o.report, "What each layer loses on the calibration samples, why, and what helps: .html, .json or .txt");
    skip(o.skip);
  }
  {
    Prune& o = add<Prune>("prune", "Make weights zero, or cut channels out: smaller files",
                          "One of --sparsity, --target and a --pattern n:m says how much.\n\n"
                          "Examples:\n  miniten prune model.onnx sparse.npz --sparsity 0.8\n  miniten prune model.npz sparse.npz --sparsity 0.5 --scope layer --skip head\n"
                          "  miniten prune model.npz half.npz --method structured --target macs=0.5\n"
                          "  miniten prune model.npz sparse.npz --pattern 2:4", prune);
    in_out(o.in, o.out, o.write);
    last().add_option("--sparsity", o.sparsity, "Share of zeros, from 0 to below 1; of channels with --method structured");
    one_of(last().add_option("--target", o.target, "The least sparsity that reaches macs=0.5 (a share), latency_ms=8 (here, one thread) or flash_kb=200 (the file)"), "macs= latency_ms= flash_kb=");
    one_of(last().add_option("--pattern", o.pattern, "2:4: two of four inputs in a row stay; 4x1: blocks of rows x columns go or stay together"), "1:4 2:4 4x1 8x1");
    one_of(last().add_option("--method", o.method, "magnitude, lamp or random: zeros; structured: channels are cut out")->capture_default_str(), "magnitude lamp random structured");
    one_of(last().add_option("--scope", o.scope, "global, or layer: each to the same sparsity")->capture_default_str(), "global layer");
    one_of(last().add_option("--importance", o.importance, "Of a channel: l1, l2, bn_scale, geometric_median or random")->capture_default_str(), "l1 l2 bn_scale geometric_median random");
    last().add_option("--min-channels", o.min_channels, "That stay in each layer")->check(positive())->capture_default_str();
    last().add_option("--round-to", o.round_to, "Channels that stay are a multiple of it")->check(positive())->capture_default_str();
    last().add_option("--seed", o.seed, "Of --method random")->capture_default_str();
    skip(o.skip);
  }
  {
    Compress& o = add<Compress>("compress", "Search the best model within a budget: channels, low rank, zeros, shared weights, integers",
                                "Scores are shares of samples: of right classes (integer --targets), or without --targets of those whose class is the\n"
                                "original's. Numbers, as float --targets, score by R2. Exit code 1 where no recipe meets the budget.\n\n"
                                "Examples:\n  miniten compress model.onnx small.npz --data x.npy --targets y.npy --budget flash_kb=64 max_drop=0.02\n"
                                "  miniten compress model.npz small.npz --data x.npy --ram-kb 32 --latency-ms 2 --journal search.jsonl", compress);
    in_out(o.in, o.out, o.write);
    last().add_option("--data", o.data, "Samples along the first axis: .npy, or .npz by the inputs' names")->required();
    last().add_option("--targets", o.targets, "What is right for each: .npy of classes or of numbers");
    for (auto [option, to, what] : {std::tuple{"--flash-kb", &o.budget.flash_kb, "Of the file"}, {"--ram-kb", &o.budget.ram_kb, "Input and activations"},
                                    {"--latency-ms", &o.budget.latency_ms, "Median on this machine, one thread"}})
      last().add_option(option, *to, what);
    last().add_option("--max-drop", o.budget.max_drop, "Of the score, from 0 to 1");
    last().add_option("--budget", o.limits, "The same together: flash_kb=200 ram_kb=64 latency_ms=5 max_drop=0.02");
    last().add_option("--journal", o.journal, "Keep each trial in this file; the same search goes on from it");
    last().add_option("--seed", o.seed, "Of the clustering")->capture_default_str();
  }
  {
    Diff& o = add<Diff>("diff", "Where two models part, layer by layer. Exit code 1 where they do",
                        "Examples:\n  miniten diff model.onnx model.npz\n  miniten diff float.npz int8.npz --input x.npy --tolerance 0.05", diff);
    file(o.a, "A", "Model: .npz, .onnx or .tflite");
    file(o.b, "B", "Another of the same inputs and outputs");
    input(o.inputs);
    shape(o.shapes);
    last().add_option("--tolerance", o.tolerance, "Of max|a - b| / max(1, max|a|)")->capture_default_str();
  }
}

void Program::measurements() {
  {
    Bench& o = add<Bench>("bench", "Measure latency",
                          "Examples:\n  miniten bench model.onnx\n  miniten bench model.onnx --shape 1,3,224,224 --runs 500 --threads 1 --json\n"
                          "  miniten bench float.npz --against int8.npz            which is faster, and by how much\n"
                          "  miniten bench model.onnx --against onnxruntime,litert  the same file in other runtimes, where installed\n"
                          "  miniten bench model.npz --target-ms 20 --percentile 95      exit code 1 where it is slower\n"
                          "  miniten bench model.npz --report page.html            distribution, layers, roofline\n"
                          "  miniten bench model.npz --soak 600                    does memory grow, does it slow down?", bench);
    file(o.file);
    shape(o.shapes);
    input(o.inputs);
    last().add_option("--runs", o.runs, "Timed runs")->capture_default_str();
    last().add_option("--warmup", o.warmup, "Runs before them")->capture_default_str();
    one_of(last().add_option("--against", o.against, "Another model, or onnxruntime, litert: compared in interleaved rounds")->delimiter(',')->allow_extra_args(false), "onnxruntime litert");
    last().add_option("--target-ms", o.target_ms, "Exit code 1 where the median is above it");
    last().add_option("--percentile", o.percentile, "Of --target-ms, instead of the median");
    last().add_option("--period-ms", o.period_ms, "Begin one inference every so often");
    last().add_option("--soak", o.soak_seconds, "Run for this many seconds instead: memory growth, latency drift");
    last().add_option("--report", o.report, "Latency, memory and layers as .html, .json, .csv or .txt");
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
                                "Examples:\n  miniten estimate model.onnx\n  miniten estimate model.npz --device stm32f411\n  miniten estimate model.npz --device here.json         (written by miniten probe)\n"
                                "  miniten estimate model.npz --shape 32,3,64,64 --training adam --limit-mb 256", estimate);
    file(o.file);
    shape(o.shapes);
    device(o.device, "cpu, gpu, edge_cpu, npu, dsp; a board, as stm32f411; or a .json of miniten probe");
    last().get_option("--device")->capture_default_str();
    last().add_option("--ops-per-watt", o.ops_per_watt, "Operations for a watt-second, instead of the device's");
    last().add_option("--watts", o.watts, "What a board draws while it computes, instead of the table's");
    one_of(last().add_option("--training", o.training, "Memory of a training step too, with sgd, momentum, adam, adamw, rmsprop, adagrad or lion"), "sgd momentum adam adamw rmsprop adagrad lion");
    last().add_option("--limit-mb", o.limit_mb, "With --training: the largest batch in this much memory");
  }
  {
    Check& o = add<Check>("check", "Does a model fit? Exit code 1 where it does not",
                          "Without limits: 10 million parameters, 100 MB, 1e9 FLOPs.\n\n"
                          "Examples:\n  miniten check model.npz --device stm32f411\n  miniten check model.npz --max-flash-kb 512 --max-ram-kb 128 --max-latency-ms 20", check);
    file(o.file);
    device(o.device, "RAM and flash of a board, as stm32f411, or of a .json profile");
    shape(o.shapes);
    for (auto [option, key, what] : {std::tuple{"--max-parameters", "max_parameters", "Parameters"}, {"--max-memory-mb", "max_memory_mb", "Parameters, input and activations"},
                                     {"--max-flops", "max_flops", "FLOPs of an inference"}, {"--max-latency-ms", "max_latency_ms", "Median on this machine, one thread"},
                                     {"--max-flash-kb", "max_flash_kb", "Parameters"}, {"--max-ram-kb", "max_ram_kb", "Input and activations"}})
      last().add_option_function<double>(option, [&o, key = std::string(key)](double limit) { o.limits[key] = limit; }, what);
  }
  {
    Probe& o = add<Probe>("probe", "Measure this machine, for estimate --device", "Example:\n  miniten probe --output here.json && miniten estimate model.npz --device here.json", probe);
    last().add_option("--output", o.output, "Write the profile to this .json");
    threads(o.threads);
  }
}

}  // namespace miniten::cli
