// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/load.hpp"

#include "tests/unit/control/policy/marked_text.hpp"
#include "tests/unit/control/policy/sample_documents.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace gannet::control {
namespace {

namespace fs = std::filesystem;

// A directory of files that goes away with the test.
class Load : public testing::Test {
 protected:
  Load() {
    std::string pattern = (fs::temp_directory_path() / "load_test.XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~Load() override { fs::remove_all(directory_); }

  std::string write(const std::string& name, std::string_view text) {
    const fs::path path = directory_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

  // What is found, without the directory's name.
  std::vector<std::string> findings() const {
    auto found = describe(diagnostics_);
    for (auto& finding : found) {
      const auto at = finding.find(directory_.string());
      if (at != std::string::npos) finding.erase(at, directory_.string().size());
    }
    return found;
  }

  std::optional<Policy> load(const std::vector<std::string>& paths) {
    const auto sources = open_sources(paths, diagnostics_);
    return sources ? load_policy(*sources, diagnostics_) : std::nullopt;
  }

  fs::path directory_;
  Diagnostics diagnostics_;
};

using Findings = std::vector<std::string>;

constexpr std::string_view kHead = "apiVersion: gannet/v1\nkind: Policy\n";

TEST_F(Load, ADirectoryIsOnePolicy) {
  write("10-lists.yaml", fmt::format("{}prefix_lists: {{a: [1.2.3.4]}}\n", kHead));
  write("20-more.yml", fmt::format("{}prefix_lists: {{b: [1.2.3.5]}}\n", kHead));
  write("host.yaml", kSampleHost);  // Of another kind: left to its own reader.
  write(".hidden.yaml", "[");
  write("notes.txt", "[");
  write("below/x.yaml", "[");
  const auto policy = load({directory_.string()});
  EXPECT_EQ(findings(), Findings{});
  ASSERT_TRUE(policy);
  ASSERT_EQ(policy->prefix_lists.size(), 2U);
  EXPECT_EQ(policy->prefix_lists.begin()->name, "a");
  EXPECT_EQ(policy->sources.size(), 2U);
}

TEST_F(Load, WhatHoldsNoDocumentIsRefusedWhateverWasWanted) {
  for (const std::string_view text : {"", "# Nothing.\n", "---\n"}) {
    diagnostics_ = {};
    const auto sources = open_sources(std::vector{write("empty.yaml", text)}, diagnostics_);
    ASSERT_TRUE(sources);
    EXPECT_FALSE(load_policy(*sources, diagnostics_));
    diagnostics_ = {};
    EXPECT_FALSE(load_any(*sources, diagnostics_)) << text;
    ASSERT_EQ(diagnostics_.error_count(), 1U) << text;
    EXPECT_EQ(diagnostics_.found().front().slug, Slug::no_document);
  }
}

// A pipe without a writer, and a device without an end: neither is waited for.
TEST_F(Load, OnlyRegularFilesAreRead) {
  const std::string pipe = (directory_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& path : {pipe, std::string("/dev/zero"), std::string("/dev/null")}) {
    diagnostics_ = {};
    EXPECT_FALSE(load({path})) << path;
    ASSERT_EQ(diagnostics_.error_count(), 1U) << path;
    EXPECT_NE(diagnostics_.found().front().message.find("no regular file"), std::string::npos);
  }
}

TEST_F(Load, TheSameNameInTwoFilesShowsBothPlaces) {
  write("a.yaml", fmt::format("{}prefix_lists: {{a: [1.2.3.4]}}\n", kHead));
  write("b.yaml", fmt::format("{}# Another.\nprefix_lists: {{a: [1.2.3.5]}}\n", kHead));
  (void)load({directory_.string()});
  EXPECT_EQ(findings(), Findings{"error duplicate-name 4:16+1"});
  const auto& found = diagnostics_.found().front();
  EXPECT_EQ(found.place.file->name(), (directory_ / "b.yaml").string());
  ASSERT_EQ(found.notes.size(), 1U);
  EXPECT_EQ(found.notes.front().place.file->name(), (directory_ / "a.yaml").string());
  EXPECT_EQ(found.notes.front().place.file->position(found.notes.front().place.offset).line, 3U);
}

TEST_F(Load, TellsWhichFileCannotBeRead) {
  const auto missing = (directory_ / "missing.yaml").string();
  EXPECT_FALSE(load({missing, write("good.yaml", kHead)}));
  EXPECT_EQ(findings(), Findings{"error cannot-read /missing.yaml"});
}

TEST_F(Load, ADirectoryWithoutPolicyIsAMistake) {
  fs::create_directory(directory_ / "empty");
  EXPECT_FALSE(load({(directory_ / "empty").string()}));
  EXPECT_EQ(findings(), Findings{"error no-document /empty"});
}

TEST_F(Load, AFileOfCommentsIsNoPolicy) {
  EXPECT_FALSE(load({write("a.yaml", "# Nothing yet.\n---\n")}));
  EXPECT_EQ(findings(), Findings{"error no-document /a.yaml"});
}

TEST_F(Load, ANamedFileMustBeOfTheRightKind) {
  EXPECT_FALSE(load({write("host.yaml", kSampleHost)}));
  EXPECT_EQ(findings(), Findings{"error wrong-kind 2:7+10"});
}

TEST_F(Load, RefusesAHundredMegabytes) {
  const auto path = write("huge.yaml", kHead);
  // A hole in a file is read as NULs; the size is what is refused.
  fs::resize_file(path, 100U << 20);
  EXPECT_FALSE(load({path}));
  EXPECT_EQ(findings(), Findings{"error too-large /huge.yaml"});
}

TEST_F(Load, ReadsHostsAndTests) {
  const auto sources = open_sources(
      {{write("host.yaml", kSampleHost), write("test.yaml", kSampleTest)}}, diagnostics_);
  ASSERT_TRUE(sources);
  const auto host = load_host_config({sources->data(), 1}, diagnostics_);
  ASSERT_TRUE(host);
  EXPECT_EQ(host->ports.size(), 4U);
  EXPECT_EQ(host->underlay.mtu, 1600);
  const auto tests = load_policy_tests({sources->data() + 1, 1}, diagnostics_);
  ASSERT_TRUE(tests);
  ASSERT_EQ(tests->size(), 1U);
  EXPECT_EQ(tests->front().cases.size(), 2U);
  EXPECT_EQ(findings(), Findings{});
}

}  // namespace
}  // namespace gannet::control
