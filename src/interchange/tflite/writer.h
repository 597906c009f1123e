#pragma once
#include <set>
#include "interchange/tflite/write.h"
#include "miniten/graph/graph.h"
#include "miniten/interchange/tflite_export.h"

namespace miniten::tflite_file {

using QuantizedRef = std::shared_ptr<const Quantized>;

bool same(const QuantizedRef&, const QuantizedRef&);         // none is the same as none
QuantizedRef signed_form(const QuantizedRef&);               // uint8 is stored as int8 around zero points less 128
bool says_nhwc(const Graph&, const char* metadata);
Axes channels_last_axes(int rank);                           // (N, C, ..) as N, .., C

class Writer : public TfliteWriter {
 public:
  // The last inputs and outputs of g, as many as `states`, are what variables hold before and after a run.
  Writer(const Graph& g, const TfliteExport& o, const std::vector<Tensor>& states) : g_(g), o_(o), states_(states), values_(g.values.size()) {}
  Model file;

  std::vector<int> emit(std::string_view type, std::vector<int> in, ForeignAttributes options, std::vector<Spec> outputs, QuantizedRef q) override;
  int constant(const Tensor& t, std::string_view hint, QuantizedRef q) override;
  int variable(const Spec& spec, std::string_view hint) override;
  int named_constant(const Tensor& given, std::string name, QuantizedRef q);
  int sparse_constant(const Tensor& given, std::string name, QuantizedRef q);
  const Spec& spec(int tensor) const override;
  QuantizedRef quantized(int tensor) const override;
  int reshaped(int tensor, const Shape& shape) override;
  int stored(int i, const Shape& shape, const Axes& order, QuantizedRef as, std::optional<Shape> to) override;
  int broadcast(int i, const Shape& shape, const TfliteValue& result, QuantizedRef as) override;

  // ---- the graph ----
  void write(const std::vector<bool>& channels_last);
  void finish_outputs(TfliteReport&);
  std::vector<TflitePort> inputs;

 private:
  int add(std::string name, const Spec& spec, QuantizedRef q);
  int stored_constant(int id, const Shape& shape, const Axes& order, const QuantizedRef& as, const std::optional<Shape>& to = {});
  int stored_value(const TfliteValue& given, const Shape& shape, const Axes& order);
  // The permutation of the tensor's own axes that gives `order` of `shape`; empty where there is none.
  static Axes axes_between(const Shape& file, const TfliteValue& v, const Shape& shape, const Axes& order);

  std::vector<TfliteValue> write_node(size_t index);
  std::vector<TfliteValue> converted(const Node&);
  bool write_in_integers(const Node&);
  QuantizedRef parameters(const Node&) const;
  TfliteValue identity(int value, QuantizedRef, std::string_view type, const Spec&);

  size_t ports(const std::vector<int>& ids) const { return ids.size() - states_.size(); }
  int read_variable(size_t k, const Value&, const Spec&, const QuantizedRef&);

  const Graph& g_;
  const TfliteExport& o_;
  const std::vector<Tensor>& states_;            // initial values
  std::vector<int> handles_;
  std::vector<TfliteValue> values_;
  std::map<std::string, int> names_, constants_, transposes_;
  std::map<std::pair<int, std::string>, int> reshapes_;
  std::map<int, int> reshaped_from_;
  std::multimap<size_t, int> contents_;
  std::set<int> done_;                                             // quantize nodes whose integers an op gave already
  const Node* node_ = nullptr;
  std::string layer_;
};

}  // namespace miniten::tflite_file
