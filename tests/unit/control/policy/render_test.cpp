// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/render.hpp"

#include "tests/unit/control/policy/marked_text.hpp"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gannet::control {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kText =
    "apiVersion: gannet/v1\n"
    "kind: Policy\n"
    "metadata: {name: ä, labels: {a: 1e3}}\n"
    "enis: {}\n"
    "enis: {}\n";

class Rendered : public testing::Test {
 protected:
  std::string as(Format format) const { return render(format, checked_->diagnostics, "p.yaml"); }
  std::unique_ptr<Checked> checked_ = check_text_of(kText, "p.yaml");
};

TEST_F(Rendered, AsText) {
  EXPECT_EQ(as(Format::kText),
            "p.yaml:3:18: error: a name begins with a letter or a digit [invalid-name]\n"
            "    3 | metadata: {name: ä, labels: {a: 1e3}}\n"
            "      |                  ^\n"
            "p.yaml:3:33: warning: '1e3' without quotes is no text to other YAML readers; write "
            "\"1e3\" [unquoted-text]\n"
            "    3 | metadata: {name: ä, labels: {a: 1e3}}\n"
            "      |                                 ^~~\n"
            "p.yaml:5:1: error: duplicate key 'enis' [duplicate-key]\n"
            "    5 | enis: {}\n"
            "      | ^~~~\n"
            "p.yaml:4:1: note: first defined here\n"
            "p.yaml: 2 errors, 1 warning; nothing was applied\n");
}

TEST_F(Rendered, AsJson) {
  const auto json = Json::parse(as(Format::kJson));
  EXPECT_EQ(json["subject"], "p.yaml");
  EXPECT_EQ(json["errors"], 2);
  EXPECT_EQ(json["warnings"], 1);
  EXPECT_EQ(json["not_shown"], 0);
  ASSERT_EQ(json["diagnostics"].size(), 3U);
  const auto& last = json["diagnostics"][2];
  EXPECT_EQ(last["file"], "p.yaml");
  EXPECT_EQ(last["line"], 5);
  EXPECT_EQ(last["column"], 1);
  EXPECT_EQ(last["length"], 4);
  EXPECT_EQ(last["severity"], "error");
  EXPECT_EQ(last["slug"], "duplicate-key");
  EXPECT_EQ(last["notes"][0]["line"], 4);
  // Lengths count characters.
  EXPECT_EQ(json["diagnostics"][0]["length"], 1);
}

TEST_F(Rendered, AsSarif) {
  const auto json = Json::parse(as(Format::kSarif));
  EXPECT_EQ(json["version"], "2.1.0");
  const auto& run = json["runs"][0];
  EXPECT_EQ(run["tool"]["driver"]["rules"].size(), 3U);
  ASSERT_EQ(run["results"].size(), 3U);
  const auto& last = run["results"][2];
  EXPECT_EQ(last["ruleId"], "duplicate-key");
  EXPECT_EQ(last["level"], "error");
  const auto& region = last["locations"][0]["physicalLocation"]["region"];
  EXPECT_EQ(region["startLine"], 5);
  EXPECT_EQ(region["startColumn"], 1);
  EXPECT_EQ(region["endColumn"], 5);
  EXPECT_EQ(last["relatedLocations"][0]["message"]["text"], "first defined here");
}

TEST_F(Rendered, ForGithub) {
  const auto text = as(Format::kGithub);
  EXPECT_NE(text.find("::error file=p.yaml,line=5,col=1::duplicate key 'enis' [duplicate-key]%0A"
                      "p.yaml:4:1: first defined here\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST(Render, NothingFoundIsNoTextButAnAnswerToPrograms) {
  const Diagnostics none;
  EXPECT_EQ(render(Format::kText, none, "p"), "");
  EXPECT_EQ(render(Format::kGithub, none, "p"), "");
  EXPECT_EQ(Json::parse(render(Format::kJson, none, "p"))["diagnostics"], Json::array());
  EXPECT_EQ(Json::parse(render(Format::kSarif, none, "p"))["runs"][0]["results"], Json::array());
}

TEST(Render, NamesOfFilesCannotForgeCommands) {
  Diagnostics diagnostics;
  const SourceFile file("a,b:c\n::error::x", "text");
  diagnostics.error(Slug::syntax, {&file, 0, 1}, "100%\n::error::y");
  EXPECT_EQ(render(Format::kGithub, diagnostics, ""),
            "::error file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3Ax,line=1,col=1::100%25%0A::error::y "
            "[syntax]\n");
}

TEST(Render, CutsLongLinesAroundThePlace) {
  const SourceFile file("f", std::string(5000, 'a') + "X" + std::string(5000, 'b'));
  Diagnostics diagnostics;
  diagnostics.error(Slug::syntax, {&file, 5000, 1}, "here");
  const auto text = render(Format::kText, diagnostics, "f");
  EXPECT_LT(text.size(), 600U);
  const auto lines_end = text.find('\n', text.find("    1 | "));
  const auto line_start = text.find("    1 | ");
  const auto mark = text.find('^') - text.rfind('\n', text.find('^'));
  EXPECT_EQ(text[line_start + mark - 1], 'X') << text.substr(0, lines_end);
}

TEST(Render, KnowsItsFormats) {
  EXPECT_EQ(parse_format("sarif"), Format::kSarif);
  EXPECT_EQ(parse_format("github"), Format::kGithub);
  EXPECT_FALSE(parse_format("xml"));
}

}  // namespace
}  // namespace gannet::control
