#include <algorithm>
#include <cmath>
#include <cstdio>
#include "viz/scale.h"

namespace miniten::viz {
namespace {

constexpr double day = 86400;

struct Date { int64_t year; int month, date; };

// The calendar in eras of 400 years, years beginning in March.
int64_t days_of(int64_t year, int month, int date) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}
Date date_of(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
  const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365, of_year = of_era - (365 * year + year / 4 - year / 100);
  const int64_t m = (5 * of_year + 2) / 153;
  const int month = int(m < 10 ? m + 3 : m - 9);
  return {year + era * 400 + (month <= 2), month, int(of_year - (153 * m + 2) / 5 + 1)};
}

std::string padded(int64_t v, int width) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*lld", width, static_cast<long long>(v));
  return text;
}

constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Clock { int64_t days; double rest; int hour, minute; double second; };
Clock clock_of(double seconds) {
  Clock c{int64_t(std::floor(seconds / day)), 0, 0, 0, 0};
  c.rest = seconds - double(c.days) * day;
  c.hour = int(c.rest / 3600), c.minute = int(c.rest / 60) % 60, c.second = c.rest - c.hour * 3600 - c.minute * 60;
  return c;
}

// What is new at this tick: a year, a month, a day, or the time.
std::string tick_text(double seconds, double step) {
  const Clock c = clock_of(seconds);
  const Date d = date_of(c.days);
  if (step >= 365 * day) return std::to_string(d.year);
  if (step >= 27 * day) return d.month == 1 ? std::to_string(d.year) : months[d.month - 1];
  if (c.rest == 0) return d.date == 1 && d.month == 1 ? std::to_string(d.year) : std::string(months[d.month - 1]) + " " + std::to_string(d.date);
  std::string text = padded(c.hour, 2) + ":" + padded(c.minute, 2);
  if (step >= 60) return text;
  const int decimals = step >= 1 ? 0 : std::clamp(int(std::ceil(-std::log10(step) - 1e-9)), 1, 6);
  char second[32];
  std::snprintf(second, sizeof second, ":%0*.*f", decimals ? decimals + 3 : 2, decimals, c.second);
  return text + second;
}

}  // namespace

std::string date_text(double seconds) {
  if (!(std::abs(seconds) < 1e14)) return "";
  const Clock c = clock_of(std::round(seconds * 1e3) / 1e3);
  const Date d = date_of(c.days);
  std::string text = padded(d.year, 4) + "-" + padded(d.month, 2) + "-" + padded(d.date, 2);
  if (c.rest == 0) return text;
  text += " " + padded(c.hour, 2) + ":" + padded(c.minute, 2);
  if (c.second == 0) return text;
  char second[32];
  const bool whole = c.second == std::floor(c.second);
  std::snprintf(second, sizeof second, whole ? ":%02.0f" : ":%06.3f", c.second);
  return text + second;
}

Ticks date_ticks(const Scale& scale, int most) {
  const double lo = std::min(scale.lo, scale.hi), hi = std::max(scale.lo, scale.hi), raw = (hi - lo) / std::max(most, 1);
  Ticks ticks;
  if (raw < 1e-3 || !(std::abs(lo) < 1e13 && std::abs(hi) < 1e13)) return choose_ticks(scale, most, false);
  static constexpr double steps[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
                                     3600, 7200, 10800, 21600, 43200, day, 2 * day, 7 * day};
  for (double step : steps) {
    if (step < raw) continue;
    // Days are counted within their month, weeks from a Monday (1970-01-05).
    const double phase = step == 7 * day ? 4 * day : 0;
    if (step == 2 * day) {
      for (int64_t d = int64_t(std::floor(lo / day)); double(d) * day <= hi; ++d) {
        const int date = date_of(d).date;
        if (double(d) * day >= lo && date % 2 == 1 && date < 31) ticks.major.push_back(double(d) * day);
      }
    } else {
      for (double k = std::ceil((lo - phase) / step - 1e-9); k * step + phase <= hi + 1e-9 * step; ++k) ticks.major.push_back(k * step + phase);
    }
    for (double v : ticks.major) ticks.labels.push_back({tick_text(v, step)});
    return ticks;
  }
  int stride = 0;  // months
  for (int64_t months_of : {1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12000, 60000, 120000, 600000, 1200000}) {
    stride = int(months_of);
    if (double(stride) * 30.4375 * day >= raw) break;
  }
  const Date from = date_of(int64_t(std::floor(lo / day)));
  int64_t month = from.year * 12 + from.month - 1;
  month -= (month % stride + stride) % stride;
  for (;; month += stride) {
    const int64_t year = month >= 0 ? month / 12 : (month - 11) / 12;
    const double v = double(days_of(year, int(month - year * 12) + 1, 1)) * day;
    if (v > hi) break;
    if (v >= lo) ticks.major.push_back(v), ticks.labels.push_back({tick_text(v, stride * 30.4375 * day - 1)});
  }
  return ticks;
}

}  // namespace miniten::viz
