#include <algorithm>
#include <filesystem>
#include "miniten/utils/datasets.h"

namespace miniten::utils::data {

namespace {
namespace fs = std::filesystem;

bool is_picture(const fs::path& p) {
  std::string ending = p.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  for (const char* e : {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ppm", ".pgm"}) if (ending == e) return true;
  return false;
}
bool hidden(const fs::path& p) { return p.filename().string().starts_with("."); }
int64_t checked_index(std::string_view op, int64_t index, int64_t size) {
  if (index < -size || index >= size) throw Error(ErrorKind::index, op, "an index in [-" + std::to_string(size) + ", " + std::to_string(size) + ")", std::to_string(index));
  return index < 0 ? index + size : index;
}
}  // namespace

TransformDataset::TransformDataset(DatasetRef dataset, vision::TransformRef transform) : dataset_(std::move(dataset)), transform_(std::move(transform)) {
  if (!dataset_ || !transform_) throw Error(ErrorKind::value, "TransformDataset", "a dataset and a transform", "none");
}
Sample TransformDataset::get(int64_t index) const {
  Sample s = dataset_->get(index);
  if (s.empty()) throw Error(ErrorKind::value, "TransformDataset", "samples of one tensor or more", "an empty one");
  s[0] = (*transform_)(s[0]);
  return s;
}

Sample TransformDataset::batch(std::span<const int64_t> indices) const {
  if (draws()) return Dataset::batch(indices);
  Sample s = dataset_->batch(indices);
  Tensor changed = s.empty() ? Tensor() : transform_->on_batch(s[0]);
  if (!changed) return Dataset::batch(indices);
  s[0] = changed;
  return s;
}

ImageFolder::ImageFolder(const std::string& root, vision::TransformRef transform, const vision::LoadOptions& o) : transform_(std::move(transform)), options_(o) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error))
    if (it->is_directory(error) && !hidden(it->path())) folders.push_back(it->path());
  if (error) throw Error(ErrorKind::io, "ImageFolder", "a folder that can be read", "\"" + root + "\"");
  if (folders.empty()) throw Error(ErrorKind::value, "ImageFolder", "a folder for each class", "none in \"" + root + "\"");
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) {
    std::vector<std::string> files;
    auto it = fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink, error);
    for (fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
      if (it.depth() > 64) throw Error(ErrorKind::value, "ImageFolder", "folders up to 64 deep", "\"" + it->path().string() + "\"", "does a link lead back to its own folder?");
      if (it->is_regular_file(error) && is_picture(it->path()) && !hidden(it->path())) files.push_back(it->path().string());
      error.clear();
    }
    if (error) throw Error(ErrorKind::io, "ImageFolder", "a folder that can be read", "\"" + folder.string() + "\"");
    if (files.empty()) throw Error(ErrorKind::value, "ImageFolder", "pictures (.png, .jpg, .jpeg, .gif, .bmp, .ppm, .pgm) in each class", "none in \"" + folder.string() + "\"");
    std::sort(files.begin(), files.end());
    for (std::string& f : files) {
      paths_.push_back(std::move(f));
      labels_.push_back(int64_t(classes_.size()));
    }
    classes_.push_back(folder.filename().string());
  }
}
Sample ImageFolder::get(int64_t index) const {
  auto i = size_t(checked_index("ImageFolder", index, size()));
  Tensor image = vision::load_image(paths_[i], options_);
  if (transform_) {
    try {
      image = (*transform_)(image, vision::Layout::hwc);
    } catch (const Error& e) {
      throw Error(e.kind(), e.op(), e.want(), e.got() + " for \"" + paths_[i] + "\"", e.hint());
    }
  }
  return {image, Tensor::of<int64_t>({}, std::span(&labels_[i], 1))};
}

}  // namespace miniten::utils::data
