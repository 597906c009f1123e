#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include "cli/commands.h"

namespace miniten::cli {

// What one command adds to the program; `call` runs after everything was parsed.
struct Command {
  CLI::App* app;
  bool json = false;
  std::function<int(Output)> call;
};

CLI::Validator positive();                       // whole numbers above 0

struct Program {
  CLI::App app{"Edge deep learning at the command line: look at models, run, shrink and measure them.", "miniten"};
  std::vector<std::unique_ptr<Command>> commands;
  std::map<const CLI::Option*, std::string> words;     // what a shell offers as an option's value, with spaces between

  Program();                                     // every command: options.cpp

  // options fills a struct of this type; function is called with it.
  template <class Options> Options& add(const char* name, const char* what, const char* examples, int (*function)(const Options&, Output)) {
    auto options = std::make_shared<Options>();
    Command& c = begin(name, what, examples);
    c.call = [options, function](Output to) { return function(*options, to); };
    return *options;
  }
  Command& begin(const char* name, const char* what, const char* examples);
  CLI::App& last() { return *commands.back()->app; }

  // ---- options that many commands have ----
  void file(std::string& to, const char* name = "FILE", const char* what = "Model: .npz, .onnx or .tflite");
  void in_out(std::string& in, std::string& out, WriteOptions& write);
  void shape(std::vector<std::string>& to);
  void input(std::vector<std::string>& to);
  void threads(int& to);
  void skip(std::vector<std::string>& to);
  void device(std::string& to, const char* what);
  void one_of(CLI::Option*, std::string choices);      // for the shell alone: the command itself refuses others
  void models();                                 // commands that look at, run and change models
  void measurements();
};

int completion(const Program&, const std::string& shell, Output);

}  // namespace miniten::cli
