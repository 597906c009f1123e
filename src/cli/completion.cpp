#include <nlohmann/json.hpp>
#include <ostream>
#include "cli/program.h"

// Scripts that complete the program's words, written from the options that the program itself reads.
namespace miniten::cli {

namespace {

struct Word { std::string name, what, choices; bool value = false; };
std::vector<Word> options_of(const Program& p, const CLI::App& command) {
  std::vector<Word> all;
  for (const CLI::Option* o : command.get_options()) {
    auto choices = p.words.find(o);
    std::string values = choices == p.words.end() ? "" : choices->second;
    if (o->get_positional()) { if (!values.empty()) all.push_back({"", "", values, true}); continue; }
    for (const std::string& name : o->get_lnames()) all.push_back({"--" + name, o->get_description(), values, o->get_items_expected_max() > 0});
  }
  return all;
}
std::string joined(const std::vector<Word>& words) {
  std::string s;
  for (const Word& w : words) if (!w.name.empty()) s += (s.empty() ? "" : " ") + w.name;
  return s;
}
std::string without(std::string s, const std::string& from, const std::string& mark) {       // each of these characters with a mark before it
  std::string out;
  for (char c : s) out += (from.find(c) == from.npos ? "" : mark) + std::string(1, c);
  return out;
}
std::string in_single_quotes(const std::string& s) {
  std::string out = "'";
  for (char c : s) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string bash(const Program& p) {
  std::string names, cases;
  for (auto& c : p.commands) {
    names += (names.empty() ? "" : " ") + c->app->get_name();
    cases += "    " + c->app->get_name() + ")\n";
    std::string values, first;
    for (const Word& w : options_of(p, *c->app)) {
      if (w.choices.empty()) continue;
      if (w.name.empty()) first = w.choices;
      else values += "        " + w.name + ") words='" + w.choices + "' ;;\n";
    }
    if (!values.empty()) cases += "      case $before in\n" + values + "      esac\n";
    if (!first.empty()) cases += "      [[ $now != -* ]] && words='" + first + "'\n";
    cases += "      options='" + joined(options_of(p, *c->app)) + "' ;;\n";
  }
  return "_miniten() {\n"
         "  local now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options= words=\n"
         "  COMPREPLY=()\n"
         "  if [[ $COMP_CWORD -eq 1 ]]; then\n"
         "    COMPREPLY=($(compgen -W '" + names + " --help' -- \"$now\"))\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]} in\n" + cases +
         "  esac\n"
         "  if [[ -n $words ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
         "  elif [[ $now == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$now\"))\n"
         "  fi\n"
         "  [[ $now == -* ]] || COMPREPLY+=($(compgen -f -- \"$now\"))\n"
         "}\n"
         "complete -o filenames -F _miniten miniten\n";
}

std::string zsh(const Program& p) {
  std::string names, cases;
  auto plain = [](const std::string& s) { return without(s, "[]:\\", "\\"); };
  for (auto& c : p.commands) {
    names += "    " + in_single_quotes(plain(c->app->get_name()) + ":" + plain(c->app->get_description())) + "\n";
    cases += "    " + c->app->get_name() + ") _arguments";
    std::string first = "_files";
    for (const Word& w : options_of(p, *c->app)) {
      std::string values = w.choices.empty() ? "_files" : "(" + w.choices + ")";
      if (w.name.empty()) first = values;
      else cases += " \\\n      " + in_single_quotes("*" + w.name + "[" + plain(w.what) + "]" + (w.value ? ":value:" + values : ""));
    }
    cases += " \\\n      " + in_single_quotes("*:file:" + first) + " ;;\n";
  }
  return "#compdef miniten\n"
         "_miniten() {\n"
         "  local -a commands=(\n" + names + "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  local command=$words[2]\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $command in\n" + cases +
         "  esac\n"
         "}\n"
         "if [[ $funcstack[1] == _miniten ]]; then _miniten \"$@\"; else compdef _miniten miniten; fi\n";
}

std::string fish(const Program& p) {
  std::string s;
  for (auto& c : p.commands)
    s += "complete -c miniten -f -n __fish_use_subcommand -a " + c->app->get_name() + " -d " + in_single_quotes(without(c->app->get_description(), "\\", "\\")) + "\n";
  for (auto& c : p.commands) {
    std::string begin = "complete -c miniten -n '__fish_seen_subcommand_from " + c->app->get_name() + "'";
    for (const Word& w : options_of(p, *c->app))
      s += begin + (w.name.empty() ? " -f" : " -l " + w.name.substr(2) + " -d " + in_single_quotes(without(w.what, "\\", "\\")) + (w.value ? " -r" : "")) +
           (w.choices.empty() ? "" : " -a '" + w.choices + "'") + "\n";
  }
  return s;
}

}  // namespace

int completion(const Program& p, const std::string& shell, Output to) {
  if (shell != "bash" && shell != "zsh" && shell != "fish") throw WrongUse{"completion is for bash, zsh or fish, got \"" + shell + "\""};
  std::string script = shell == "bash" ? bash(p) : shell == "zsh" ? zsh(p) : fish(p);
  to.out << (to.json ? nlohmann::ordered_json{{"shell", shell}, {"script", script}}.dump() + "\n" : script);
  return 0;
}

}  // namespace miniten::cli
