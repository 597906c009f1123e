#include "viz/isolines.h"
#include <algorithm>
#include <cmath>
#include <map>

namespace miniten::viz {
namespace {

// Lines cross the edges of squares: 2 * (lower left corner) + (0: along x, 1: along y).
using Edge = size_t;

std::pair<double, double> crossing_at(std::span<const double> z, std::span<const double> x, std::span<const double> y, double level, Edge e) {
  const size_t cols = x.size(), i = e / 2, r = i / cols, c = i % cols, other = e % 2 ? i + cols : i + 1;
  const double t = (level - z[i]) / (z[other] - z[i]);
  return e % 2 ? std::pair{x[c], y[r] + (y[r + 1] - y[r]) * t} : std::pair{x[c] + (x[c + 1] - x[c]) * t, y[r]};
}

}  // namespace

std::vector<GridPoints> contour_lines(std::span<const double> z, std::span<const double> x, std::span<const double> y, double level) {
  const size_t cols = x.size(), rows = y.size();
  auto crossing = [&](Edge e) { return crossing_at(z, x, y, level, e); };
  std::map<Edge, std::vector<Edge>> next;
  for (size_t r = 0; r + 1 < rows; ++r) {
    for (size_t c = 0; c + 1 < cols; ++c) {
      const size_t i = r * cols + c;
      const double a = z[i], b = z[i + 1], d = z[i + cols], e = z[i + cols + 1];
      if (!std::isfinite(a + b + d + e)) continue;
      const Edge low = 2 * i, left = 2 * i + 1, high = 2 * (i + cols), right = 2 * (i + 1) + 1;
      auto join = [&](Edge p, Edge q) { next[p].push_back(q), next[q].push_back(p); };
      const int kind = (a >= level) | (b >= level) << 1 | (e >= level) << 2 | (d >= level) << 3;
      switch (kind) {
        case 1: case 14: join(low, left); break;
        case 2: case 13: join(low, right); break;
        case 3: case 12: join(left, right); break;
        case 4: case 11: join(right, high); break;
        case 6: case 9: join(low, high); break;
        case 7: case 8: join(left, high); break;
        case 5: case 10: {  // a saddle: its middle decides
          const bool middle_up = (a + b + d + e) / 4 >= level;
          if ((kind == 5) == middle_up) join(low, right), join(left, high);
          else join(low, left), join(right, high);
          break;
        }
        default: break;
      }
    }
  }
  std::vector<GridPoints> lines;
  auto follow = [&](Edge start) {
    GridPoints line{crossing(start)};
    Edge at = start;
    while (!next[at].empty()) {
      const Edge to = next[at].back();
      next[at].pop_back();
      auto& back = next[to];
      back.erase(std::find(back.begin(), back.end(), at));
      line.push_back(crossing(to));
      at = to;
    }
    lines.push_back(std::move(line));
  };
  std::vector<Edge> ends, all;
  for (const auto& [edge, others] : next) (others.size() == 1 ? ends : all).push_back(edge);
  for (Edge e : ends) if (!next[e].empty()) follow(e);
  for (Edge e : all) if (!next[e].empty()) follow(e);
  return lines;
}

// Each square gives the outline of its part, counterclockwise in rows and columns; what two squares share cancels, so that only
// lines inside squares and the border remain. They are linked where one ends and the next begins.
std::vector<GridPoints> contour_regions(std::span<const double> z, std::span<const double> x, std::span<const double> y, double level) {
  const size_t cols = x.size(), rows = y.size(), corners = 2 * z.size();  // nodes: edges, then corners
  auto whole = [&](size_t r, size_t c) {                                  // one less than 0 is past the end
    if (r >= rows - 1 || c >= cols - 1) return false;
    const size_t i = r * cols + c;
    return std::isfinite(z[i] + z[i + 1] + z[i + cols] + z[i + cols + 1]);
  };
  std::vector<std::pair<size_t, size_t>> links;
  for (size_t r = 0; r + 1 < rows; ++r) {
    for (size_t c = 0; c + 1 < cols; ++c) {
      if (!whole(r, c)) continue;
      const size_t i = r * cols + c, corner[] = {i, i + 1, i + cols + 1, i + cols};
      const Edge side[] = {2 * i, 2 * (i + 1) + 1, 2 * (i + cols), 2 * i + 1};
      bool in[4];
      for (int k = 0; k < 4; ++k) in[k] = z[corner[k]] >= level;
      const int inside = in[0] + in[1] + in[2] + in[3];
      if (inside == 0) continue;
      const bool bordered[] = {!whole(r - 1, c), !whole(r, c + 1), !whole(r + 1, c), !whole(r, c - 1)};
      for (int k = 0; k < 4; ++k) {
        const int next = (k + 1) % 4;
        if (bordered[k] && (in[k] || in[next])) links.emplace_back(in[k] ? corners + corner[k] : side[k], in[next] ? corners + corner[next] : side[k]);
      }
      if (inside == 4) continue;
      const bool saddle = inside == 2 && in[0] == in[2];
      const bool joined = !saddle || (z[corner[0]] + z[corner[1]] + z[corner[2]] + z[corner[3]]) / 4 >= level;  // as contour_lines
      for (int k = 0; k < 4; ++k) {
        if (!in[k] || in[(k + 1) % 4]) continue;
        int to = k;
        do to = (to + (joined ? 1 : 3)) % 4; while (in[to] || !in[(to + 1) % 4]);
        links.emplace_back(side[k], side[to]);
      }
    }
  }
  std::sort(links.begin(), links.end());
  std::vector<bool> used(links.size(), false);
  auto point = [&](size_t node) { return node < corners ? crossing_at(z, x, y, level, node) : std::pair{x[(node - corners) % cols], y[(node - corners) / cols]}; };
  std::vector<GridPoints> loops;
  for (size_t first = 0; first < links.size(); ++first) {
    if (used[first]) continue;
    GridPoints loop;
    for (size_t at = first;;) {
      used[at] = true;
      const auto p = point(links[at].first);
      const size_t n = loop.size();
      const bool straight = n > 1 && ((p.first == loop[n - 1].first && p.first == loop[n - 2].first) || (p.second == loop[n - 1].second && p.second == loop[n - 2].second));
      if (straight) loop.back() = p;
      else loop.push_back(p);
      const size_t to = links[at].second;
      at = size_t(std::lower_bound(links.begin(), links.end(), std::pair{to, size_t(0)}) - links.begin());
      while (at < links.size() && links[at].first == to && used[at]) ++at;
      if (at == links.size() || links[at].first != to) break;
    }
    loops.push_back(std::move(loop));
  }
  return loops;
}

}  // namespace miniten::viz
