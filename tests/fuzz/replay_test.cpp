// SPDX-License-Identifier: BSD-3-Clause
// Gives a fuzz target everything that is kept in its corpus, past crashes among it (S9), with the
// ordinary compiler: replay_test CORPUS [GoogleTest options].
#include "tests/fuzz/entry.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

std::string corpus;

TEST(Corpus, IsReplayed) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) files.push_back(entry);
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty()) << corpus;
  for (const auto& path : files) {
    SCOPED_TRACE(path.string());
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    // Of exactly this size, so that a read beyond it is one beyond what was allocated.
    const auto copy = std::make_unique<std::uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    EXPECT_EQ(LLVMFuzzerTestOneInput(copy.get(), bytes.size()), 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 64;
  corpus = argv[1];
  return RUN_ALL_TESTS();
}
