// The model as an object: freed by itself, errors are exceptions.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "answer.h"
#include "model.h"
$include
class Application {
 public:
  explicit Application(const std::string &folder, int threads = 0) : model_(nullptr, model_close) {
    char error[256] = "";
    model_.reset(model_open(folder.c_str(), threads, error, sizeof error));
    if (!model_) throw std::runtime_error(error);
  }

  // Returns the outputs, each dense and in the float model's type. `inputs` in the signature's order.
  std::vector<std::vector<std::byte>> run(const std::vector<const void *> &inputs) {
    if (inputs.size() != MODEL_INPUTS) throw std::invalid_argument("another number of inputs");
    std::vector<std::vector<std::byte>> outputs;
    std::vector<void *> places;
    for (int n = 0; n < MODEL_OUTPUTS; n++) outputs.emplace_back(model_outputs[n].bytes);
    for (auto &output : outputs) places.push_back(output.data());
    if (model_run(model_.get(), inputs.data(), places.data()))
      throw std::runtime_error(model_error(model_.get()));
    return outputs;
  }

 private:
  std::unique_ptr<model, void (*)(model *)> model_;
};
