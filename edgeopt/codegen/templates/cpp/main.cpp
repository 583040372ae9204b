// Runs the model once: $usage
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "application.hpp"
#include "files.h"

namespace {

using Memory = std::unique_ptr<void, void (*)(void *)>;

// Reads or prepares one input.
Memory read_input(int index, const std::string &path, placement *place) {
  Memory input(nullptr, std::free);
#if $is_picture
  if (index == PICTURE_INPUT && path.find(".npy") == std::string::npos) {
    int64_t height = 0, width = 0;
    Memory pixels(read_picture(path.c_str(), PICTURE_CHANNELS, &height, &width), std::free);
    input.reset(std::malloc(model_inputs[index].bytes + 1));
    if (!pixels || !input) throw std::runtime_error("no picture");
    if (picture_prepare(static_cast<uint8_t *>(pixels.get()), height, width,
                        static_cast<picture_cell *>(input.get()), place))
      throw std::runtime_error("the picture is too large");
    return input;
  }
#endif
  (void)place;
  input.reset(read_npy(path.c_str(), model_inputs[index].bytes));
  if (!input) throw std::runtime_error("no input");
  return input;
}

int run(char **words) {
  Application application(words[1]);
  placement place = answer_whole();
  std::vector<Memory> memory;
  std::vector<const void *> inputs;
  for (int n = 0; n < MODEL_INPUTS; n++) {
    memory.push_back(read_input(n, words[n + 2], &place));
    inputs.push_back(memory.back().get());
  }
  auto outputs = application.run(inputs);
  std::vector<void *> places;
  for (auto &output : outputs) places.push_back(output.data());
  return answer_print(places.data(), &place) ? 1 : 0;
}

}  // namespace

int main(int count, char **words) {
  if (count != MODEL_INPUTS + 2) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER $arguments\n", words[0]);
    return 2;
  }
  try {
    return run(words);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
