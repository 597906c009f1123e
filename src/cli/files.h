#pragma once
#include "cli/commands.h"
#include "miniten/edge/devices.h"
#include "miniten/edge/export.h"

// Files and shapes as arguments name them. All of it throws WrongUse before any work is done.
namespace miniten::cli {

Ref<nn::GraphModule> open_model(const std::string& path);        // by its ending: .npz, .onnx or .tflite
double& load_limit_mb();                                         // --load-limit-mb: of open_model
uint64_t file_bytes(const std::string& path);
void check_model_output(const std::string& path, const WriteOptions&);     // a known ending that has these options, in a folder that is there
void check_output(const std::string& path, std::string_view ending);
Tensor read_array(const std::string& path);                      // .npy, or .npz of one array
std::pair<std::string, double> named_number(const std::string& text);      // of "flash_kb=200"; NaN: it is none
std::string joined(const std::vector<Spec>&);
std::string ending_of(const std::string& path);                  // in small letters, with its dot
edge::Device open_device(const std::string& name);               // of the table, or a .json that probe wrote

// A whole model file. specs: none keeps open sizes open.
edge::ExportReport save_model(nn::GraphModule&, const std::string& path, const WriteOptions&, const std::vector<Spec>& specs = {});

// The inputs' specs with open sizes from "1,3,32,32" or "name=1,3,32,32", the others 1.
std::vector<Spec> specs_for(const nn::GraphModule&, const std::vector<std::string>& shapes);
std::string input_name(const Graph&, size_t index);
std::string output_name(const Graph&, size_t index);

// Named arrays of .npy and .npz files, floats in the model's width, in the order of the model's inputs; given: what is there
// already, by input.
std::vector<Tensor> read_inputs(const nn::GraphModule&, const std::vector<std::string>& files, std::vector<Tensor> given = {});
// The inputs that take pictures, from files: one batch; the other inputs are empty.
std::vector<Tensor> read_images(const nn::GraphModule&, const Images&);
// Of samples by input: batches along the first axis, of the model's own size where it has one.
edge::Batches batches_of(const nn::GraphModule&, const std::vector<Tensor>& samples);

// Prints what was written and, under this key, what was done: JSON and text of a report.
void tell(Output, const edge::ExportReport&, const char* key, const std::string& report_json, const std::string& report_text);

}  // namespace miniten::cli
