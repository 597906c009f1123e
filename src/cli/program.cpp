#include "cli/program.h"
#include "miniten/base/error.h"

namespace miniten::cli {

CLI::Validator positive() {
  return {[](std::string& text) {
            int n = 0;
            bool whole = CLI::detail::lexical_cast(text, n);
            return whole && n > 0 ? std::string() : "a number above 0 is wanted, got \"" + text + "\"";
          }, "above 0"};
}

int main(std::span<const std::string> args, std::ostream& out, std::ostream& err, const Peers& peers) {
  std::string who = "miniten";
  auto complain = [&](const std::string& text, int code) {
    show_progress("");
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
      int code = c->call({out, c->json, peers});
      out.flush();
      return out ? code : complain("the output could not be written", 1);
    }
    return complain("a command is wanted", 2);
  } catch (const WrongUse& e) {
    return complain(e.text, 2);
  } catch (const Failed& e) {
    return complain(e.text, 1);
  } catch (const Error& e) {
    return complain(e.what(), e.kind() == ErrorKind::unsupported || e.kind() == ErrorKind::io ? 1 : 2);
  } catch (const std::bad_alloc&) {
    return complain("there is not enough memory", 1);
  } catch (const std::exception& e) {
    return complain(e.what(), 1);
  }
}

}  // namespace miniten::cli
