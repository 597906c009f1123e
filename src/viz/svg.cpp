#include "viz/svg.h"
#include <algorithm>
#include <cmath>
#include "viz/number.h"
#include "viz/png.h"
#include "viz/text.h"

namespace miniten::viz {
namespace {

constexpr char id_mark = '\x01';  // stands for the figure's id until finish(); cannot occur in escaped text
constexpr const char* font_family = "Inter, Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif";

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) return void(out += char(c));
  if (c < 0x800) out += char(0xc0 | c >> 6);
  else if (c < 0x10000) out += char(0xe0 | c >> 12), out += char(0x80 | (c >> 6 & 0x3f));
  else out += char(0xf0 | c >> 18), out += char(0x80 | (c >> 12 & 0x3f)), out += char(0x80 | (c >> 6 & 0x3f));
  out += char(0x80 | (c & 0x3f));
}

// Ids are of the content, so that figures on one page do not take each other's.
std::string content_id(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ull;
  static constexpr char digits[] = "0123456789abcdef";
  std::string id = "v";
  for (int shift = 44; shift >= 0; shift -= 4) id += digits[hash >> shift & 15];
  return id;
}

// Enlarged to the page's pixels, for viewers that would blur a small image; an image that is finer already stays as it is.
Bitmap enlarged(const Bitmap& from, const Rect& rect) {
  const int width = std::max(from.width, int(std::min(rect.width, 4096.0))), height = std::max(from.height, int(std::min(rect.height, 4096.0)));
  Bitmap to{width, height, {}};
  to.rgba.reserve(size_t(width) * size_t(height) * 4);
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* row = &from.rgba[size_t(y * from.height / height) * size_t(from.width) * 4];
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t* p = row + size_t(x * from.width / width) * 4;
      to.rgba.insert(to.rgba.end(), p, p + 4);
    }
  }
  return to;
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    char32_t c = next_code_point(text);
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      case '\t': case '\n': case '\r': out += ' '; break;
      default:
        // Controls, non-characters, and the marks that would turn the text around them.
        if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c & 0xfffe) == 0xfffe || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)) c = 0xfffd;
        append_utf8(out, c);
    }
  }
  return out;
}

SvgCanvas::SvgCanvas(double width, double height, std::string title) : width_(width), height_(height), title_(std::move(title)) {}

std::string SvgCanvas::finish() {
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"";
  append_coordinate(out, width_);
  out += "\" height=\"";
  append_coordinate(out, height_);
  out += "\" viewBox=\"0 0 ";
  append_coordinate(out, width_);
  out += ' ';
  append_coordinate(out, height_);
  out += "\" role=\"img\"";
  if (!title_.empty()) out += " aria-label=\"" + escape_xml(title_) + "\"";
  out += std::string(" font-family=\"") + font_family + "\" fill=\"none\">\n";
  const std::string id = content_id(body_);
  for (char c : body_) {
    if (c == id_mark) out += id;
    else out += c;
  }
  out += "</svg>\n";
  body_.clear();
  return out;
}

void SvgCanvas::attribute(const char* name, double value) {
  ((body_ += ' ') += name) += "=\"";
  append_coordinate(body_, value);
  body_ += '"';
}

void SvgCanvas::color(const char* property, const Color& value) {
  (((body_ += ' ') += property) += "=\"") += to_hex({value.r, value.g, value.b});
  body_ += '"';
  if (value.a < 1) {
    ((body_ += ' ') += property) += "-opacity=\"";
    append_coordinate(body_, value.a);
    body_ += '"';
  }
}

void SvgCanvas::stroke(const Stroke& stroke) {
  if (stroke.width <= 0 || stroke.color.a <= 0) return;
  color("stroke", stroke.color);
  attribute("stroke-width", stroke.width);
  if (stroke.square_cap) body_ += " stroke-linecap=\"square\"";
  if (stroke.dashes.empty()) return;
  body_ += " stroke-dasharray=\"";
  for (size_t i = 0; i < stroke.dashes.size(); ++i) {
    if (i) body_ += ' ';
    append_coordinate(body_, stroke.dashes[i]);
  }
  body_ += '"';
}

void SvgCanvas::paint(const Paint& paint) {
  if (paint.fill.a > 0) color("fill", paint.fill);
  stroke(paint.stroke);
}

void SvgCanvas::point(Point p) {
  append_coordinate(body_, p.x);
  body_ += ' ';
  append_coordinate(body_, p.y);
}

void SvgCanvas::polyline(std::span<const Point> points, const Stroke& line) {
  if (points.size() < 2 || line.width <= 0) return;
  body_ += "<path d=\"M";
  for (size_t i = 0; i < points.size(); ++i) {
    if (i) body_ += i == 1 ? "L" : " ";
    point(points[i]);
  }
  body_ += '"';
  stroke(line);
  body_ += " stroke-linejoin=\"round\"/>\n";
}

void SvgCanvas::path(const Path& path, const Paint& how) {
  if (path.points.empty()) return;
  body_ += "<path d=\"";
  size_t next = 0;
  for (Path::Verb verb : path.verbs) {
    if (verb == Path::Verb::close) {
      body_ += 'Z';
      continue;
    }
    body_ += verb == Path::Verb::move ? 'M' : verb == Path::Verb::line ? 'L' : 'C';
    for (int n = verb == Path::Verb::cubic ? 3 : 1; n-- > 0;) {
      point(path.points[next++]);
      if (n) body_ += ' ';
    }
  }
  body_ += '"';
  paint(how);
  body_ += "/>\n";
}

void SvgCanvas::rect(const Rect& r, const Paint& how, double radius) {
  body_ += "<rect";
  attribute("x", r.x), attribute("y", r.y), attribute("width", r.width), attribute("height", r.height);
  if (radius > 0) attribute("rx", radius);
  paint(how);
  body_ += "/>\n";
}

void SvgCanvas::circles(std::span<const Point> centres, double radius, const Paint& how, std::span<const Color> fills) {
  if (centres.empty()) return;
  body_ += "<g";
  paint(how);
  body_ += ">\n";
  for (size_t i = 0; i < centres.size(); ++i) {
    body_ += "<circle";
    attribute("cx", centres[i].x), attribute("cy", centres[i].y), attribute("r", radius);
    if (!fills.empty()) color("fill", fills[i]);
    body_ += "/>\n";
  }
  body_ += "</g>\n";
}

void SvgCanvas::text(Point at, const Label& label, const TextStyle& style) {
  if (label.text.empty()) return;
  body_ += "<text";
  attribute("x", at.x), attribute("y", at.y);
  attribute("font-size", style.size);
  if (style.bold) body_ += " font-weight=\"600\"";
  if (style.anchor != Anchor::start) body_ += style.anchor == Anchor::middle ? " text-anchor=\"middle\"" : " text-anchor=\"end\"";
  if (style.rotation != 0) {
    body_ += " transform=\"rotate(";
    append_coordinate(body_, -style.rotation);
    body_ += ' ';
    point(at);
    body_ += ")\"";
  }
  color("fill", style.color);
  body_ += '>';
  body_ += escape_xml(label.text);
  if (!label.exponent.empty()) {
    body_ += "<tspan";
    attribute("dy", -exponent_rise(style.size));
    attribute("font-size", exponent_size(style.size));
    body_ += '>';
    body_ += escape_xml(label.exponent) + "</tspan>";
  }
  body_ += "</text>\n";
}

void SvgCanvas::image(const Rect& r, const Bitmap& bitmap) {
  if (bitmap.width <= 0 || bitmap.height <= 0) return;
  body_ += "<image";
  attribute("x", r.x), attribute("y", r.y), attribute("width", r.width), attribute("height", r.height);
  body_ += " preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64,";
  body_ += base64(encode_png(enlarged(bitmap, r)));
  body_ += "\"/>\n";
}

void SvgCanvas::push_clip(const Rect& r) {
  const std::string id = std::string(1, id_mark) + "-" + std::to_string(++clips_);
  body_ += "<clipPath id=\"" + id + "\"><rect";
  attribute("x", r.x), attribute("y", r.y), attribute("width", r.width), attribute("height", r.height);
  body_ += "/></clipPath>\n<g clip-path=\"url(#" + id + ")\">\n";
}

void SvgCanvas::pop_clip() { body_ += "</g>\n"; }

}  // namespace miniten::viz
