// Classifies pixels that are in memory already: of a camera, a decoder, a network.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <vector>

#include "application.hpp"

int main(int count, char **words) try {
  const int height = 48, width = 64;
  std::vector<uint8_t> pixels(height * width * PICTURE_CHANNELS);  // RGB, row by row
  for (size_t n = 0; n < pixels.size(); n++) pixels[n] = static_cast<uint8_t>(n * 37 % 251);

  Application network(count > 1 ? words[1] : "model");
  std::vector<picture_cell> input(PICTURE_CELLS);
  placement place;
  if (picture_prepare(pixels.data(), height, width, input.data(), &place)) return 1;
  const auto outputs = network.run({input.data()});
  answer_class best[ANSWER_TOP];
  const int classes = answer_classes(outputs[0].data(), 0, best);
  for (int n = 0; n < classes; n++)
    std::printf("%.4f %d\n", best[n].probability, static_cast<int>(best[n].number));
  return classes < 0 ? 1 : 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
