#pragma once
#include "miniten/utils/data.h"
#include "miniten/utils/transforms.h"

// Datasets that read files and that change samples.
namespace miniten::utils::data {

// A dataset with a transform on the first tensor of each sample, an image (height, width[, channels]).
class TransformDataset : public Dataset {
 public:
  TransformDataset(DatasetRef dataset, vision::TransformRef transform);
  int64_t size() const override { return dataset_->size(); }
  Sample get(int64_t index) const override;
  Sample batch(std::span<const int64_t> indices) const override;
  bool draws() const override { return dataset_->draws() || !transform_->takes_batches(); }

 private:
  DatasetRef dataset_;
  vision::TransformRef transform_;
};

// A folder for each class with its pictures (PNG, JPEG, GIF, BMP, PPM, PGM by their ending), folders within included; classes
// and files in the order of their names. A sample is (image, label): the image as load_image gives it, then transformed,
// and a number int64(). Hidden files are passed over; a folder without any picture is an error that names it.
class ImageFolder : public Dataset {
 public:
  explicit ImageFolder(const std::string& root, vision::TransformRef transform = {}, const vision::LoadOptions& = {});
  int64_t size() const override { return int64_t(paths_.size()); }
  Sample get(int64_t index) const override;
  bool draws() const override { return bool(transform_); }
  const std::vector<std::string>& classes() const { return classes_; }
  const std::vector<std::string>& paths() const { return paths_; }
  const Indices& labels() const { return labels_; }

 private:
  std::vector<std::string> classes_, paths_;
  Indices labels_;
  vision::TransformRef transform_;
  vision::LoadOptions options_;
};

// A table of text: RFC 4180's quotes, any delimiter of one character, lines ended by \n or \r\n.
struct CsvTable {
  std::vector<std::string> names;              // of the columns; empty where there is no header
  int64_t rows = 0, columns = 0;
  std::vector<double> values;                  // rows x columns; NaN where a field is empty or no number
  std::vector<std::vector<std::string>> text;  // of each column with a field that is no number: all its fields
};
enum class CsvHeader { infer, yes, no };       // infer: a first row without any number, above one with some
// Throws ErrorKind::io where the file cannot be read, ErrorKind::value for rows of unequal length (naming the line) and an
// empty table.
CsvTable read_csv(const std::string& path, char delimiter = ',', CsvHeader = CsvHeader::infer);

}  // namespace miniten::utils::data
