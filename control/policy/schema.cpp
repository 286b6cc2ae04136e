// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/schema.hpp"

#include "control/policy/diagnostic.hpp"
#include "control/policy/fields_host.hpp"
#include "control/policy/fields_test.hpp"
#include "control/policy/json_writer.hpp"
#include "control/policy/names.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace gannet::control {
namespace {

/// A type, for editors and for people.
struct TypeInfo {
  Json schema;
  std::string text;
};

enum class Presence { kRequired, kOptional, kDefaulted, kAlternative };

struct FieldInfo {
  std::string name;
  std::string sentence;
  Presence presence;
  TypeInfo type;
  Json default_value;
};

/// One shape of an object; an object whose type decides about its fields has one for each type.
struct Shape {
  std::vector<FieldInfo> fields;
  std::string selected;  // "type: tap", or empty.
};

struct ObjectInfo {
  std::string word;
  std::string sentence;
  std::vector<Shape> shapes;
  std::string bare_field;  // Whose list may stand for the whole object.
  Json short_form;         // Schema of its short form, or null.
};

/// Learns all objects that can be reached from a kind of document.
class Catalog {
 public:
  template <typename T>
  void add_root(T prototype) {
    (void)reference(std::move(prototype));
  }
  /// In the order in which they are first mentioned.
  [[nodiscard]] const std::vector<ObjectInfo>& objects() const { return objects_; }

  template <LeafType T>
  TypeInfo type_of(const T&) {
    return {Leaf<T>::schema(), std::string(Leaf<T>::kExpected)};
  }
  TypeInfo type_of(const Duration& value, Positive) { return type_of(value); }
  template <WordType E>
  TypeInfo type_of(const E&) {
    return {Json{{"enum", kWords<E>}}, describe_words(kWords<E>)};
  }
  template <std::unsigned_integral T>
  TypeInfo type_of(const T&, const Range& range) {
    return {Json{{"type", "integer"}, {"minimum", range.min}, {"maximum", range.max}},
            describe_range(range)};
  }
  template <typename T, typename... Extra>
  TypeInfo type_of(const Located<T>& value, const Extra&... extra) {
    return type_of(*value, extra...);
  }
  template <typename T, typename... Extra>
  TypeInfo type_of(const std::optional<T>&, const Extra&... extra) {
    return type_of(T{}, extra...);
  }
  template <typename T>
  TypeInfo type_of(const std::vector<Located<T>>&, OneOrMore) {
    auto item = type_of(T{});
    Json list{{"type", "array"}, {"items", item.schema}, {"minItems", 1}};
    return {Json{{"anyOf", Json::array({std::move(item.schema), std::move(list)})}},
            item.text + ", or a list of such"};
  }
  template <typename T, typename... Extra>
  TypeInfo type_of(const std::vector<T>&, const Extra&... extra) {
    constexpr bool kHasPrototype = (std::same_as<T, Extra> || ...);
    auto item = [&] {
      if constexpr (kHasPrototype) {
        return reference(extra...);
      } else {
        return type_of(T{}, extra...);
      }
    }();
    return {Json{{"type", "array"}, {"items", std::move(item.schema)}}, "list: " + item.text};
  }
  TypeInfo type_of(const std::vector<Label>&) {
    return {Json{{"type", "object"}, {"additionalProperties", {{"type", "string"}}}},
            "texts by any keys"};
  }
  template <typename T>
  TypeInfo type_of(const Dictionary<T>&) {
    auto item = reference(T{});
    Json schema{{"type", "object"}};
    const bool has_names = !std::same_as<T, Mapping>;
    if (has_names) schema["propertyNames"] = {{"pattern", kNamePattern}};
    schema["additionalProperties"] = std::move(item.schema);
    return {std::move(schema), fmt::format("{} by {}", item.text, has_names ? "name" : "address")};
  }
  /// Anything that has a table of fields.
  template <typename T>
  TypeInfo type_of(const T& prototype) {
    return reference(prototype);
  }

 private:
  template <typename T>
  TypeInfo reference(T prototype);

  std::vector<ObjectInfo> objects_;
};

std::string definition_name(std::string word) {
  std::replace(word.begin(), word.end(), ' ', '_');
  return word;
}

// A heading's anchor as code hosts make it.
std::string anchor(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c == ' ' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return word;
}

/// The fields of one object as its table goes through them (fields.hpp).
class FieldCollector {
 public:
  FieldCollector(Catalog& catalog, std::size_t selected) : catalog_(catalog), selected_(selected) {}

  std::string word, sentence, bare_field;
  Shape shape;
  std::size_t shape_count = 1;

  void object(const char* its_word, const char* its_sentence) {
    word = its_word;
    sentence = its_sentence;
  }
  template <typename T, typename... Extra>
  void required(const char* name, T& member, const char* text, const Extra&... extra) {
    if constexpr ((std::same_as<Extra, MayBeEmpty> || ...)) {
      add(name, text, Presence::kRequired, catalog_.type_of(member));
    } else {
      auto type = catalog_.type_of(member, extra...);
      if (type.schema.contains("items")) type.schema["minItems"] = 1;
      add(name, text, Presence::kRequired, std::move(type));
    }
  }
  template <typename T, typename... Extra>
  void optional(const char* name, T& member, const char* text, const Extra&... extra) {
    add(name, text, Presence::kOptional, catalog_.type_of(member, extra...));
  }
  template <typename T, typename... Extra>
  void defaulted(const char* name, T& member, const char* text, const Extra&... extra) {
    add(name, text, Presence::kDefaulted, catalog_.type_of(member, extra...),
        JsonWriter::write(member, extra...));
  }
  template <typename T, typename... Extra>
  void alternative(const char* name, T& member, const char* text, const Extra&... extra) {
    add(name, text, Presence::kAlternative, catalog_.type_of(member, extra...));
  }
  template <typename T>
  void bare(const char* name, T& member, const char* text) {
    bare_field = name;
    required(name, member, text, MayBeEmpty{});
  }
  template <typename E>
  [[nodiscard]] bool selector(const char* name, E& member, const char* text) {
    member = static_cast<E>(selected_);
    shape_count = kWords<E>.size();
    shape.selected = fmt::format("{}: {}", name, to_string(member));
    add(name, text, Presence::kRequired,
        {Json{{"const", to_string(member)}}, fmt::format("'{}'", to_string(member))});
    return true;
  }
  void misplaced(const char*, const char*) {}

 private:
  void add(const char* name, const char* text, Presence presence, TypeInfo type,
           Json value = nullptr) {
    shape.fields.push_back({name, text, presence, std::move(type), std::move(value)});
  }

  Catalog& catalog_;
  std::size_t selected_;
};

template <typename T>
TypeInfo Catalog::reference(T prototype) {
  const std::size_t place = objects_.size();
  ObjectInfo info;
  std::size_t shape_count = 1;
  for (std::size_t i = 0; i < shape_count; ++i) {
    FieldCollector fields(*this, i);
    describe(fields, prototype);
    shape_count = fields.shape_count;
    info.word = fields.word;
    info.sentence = fields.sentence;
    info.bare_field = fields.bare_field;
    info.shapes.push_back(std::move(fields.shape));
  }
  if constexpr (HasShortForm<T>) info.short_form = ShortForm<T>::schema();
  TypeInfo type{Json{{"$ref", "#/$defs/" + definition_name(info.word)}},
                fmt::format("[{}](#{})", info.word, anchor(info.word))};
  const bool is_known = std::any_of(objects_.begin(), objects_.end(),
                                    [&info](const ObjectInfo& o) { return o.word == info.word; });
  // Before what it mentions, which has been added meanwhile.
  if (!is_known)
    objects_.insert(objects_.begin() + static_cast<std::ptrdiff_t>(place), std::move(info));
  return type;
}

Json shape_schema(const Shape& shape) {
  Json properties = Json::object();
  Json required = Json::array();
  Json alternatives = Json::array();
  for (const FieldInfo& field : shape.fields) {
    Json property = field.type.schema;
    property["description"] = field.sentence;
    if (field.presence == Presence::kDefaulted) property["default"] = field.default_value;
    properties[field.name] = std::move(property);
    if (field.presence == Presence::kRequired) required.push_back(field.name);
    if (field.presence == Presence::kAlternative) {
      alternatives.push_back({{"required", Json::array({field.name})}});
    }
  }
  Json schema{
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  if (!alternatives.empty()) schema["oneOf"] = std::move(alternatives);
  return schema;
}

Json object_schema(const ObjectInfo& object) {
  Json forms = Json::array();
  for (const Shape& shape : object.shapes) forms.push_back(shape_schema(shape));
  if (!object.short_form.is_null()) forms.push_back(object.short_form);
  if (!object.bare_field.empty()) {
    forms.push_back(forms[0]["properties"][object.bare_field]);
  }
  Json schema = forms.size() == 1 ? std::move(forms[0]) : Json{{"anyOf", std::move(forms)}};
  schema["description"] = object.sentence;
  return schema;
}

template <typename T>
Json document_schema(Kind kind) {
  Catalog catalog;
  catalog.add_root(T{});
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", fmt::format("Gannet {} ({})", to_string(kind), kApiVersion)}};
  Json definitions = Json::object();
  for (const ObjectInfo& object : catalog.objects()) {
    definitions[definition_name(object.word)] = object_schema(object);
  }
  Json root = std::move(definitions[std::string(to_string(kind))]);
  definitions.erase(std::string(to_string(kind)));
  Json properties{{"apiVersion", {{"const", kApiVersion}}}, {"kind", {{"const", to_string(kind)}}}};
  properties.update(root["properties"]);
  root["properties"] = std::move(properties);
  Json required = Json::array({"apiVersion", "kind"});
  for (const auto& field : root.value("required", Json::array())) required.push_back(field);
  root["required"] = std::move(required);
  schema.update(root);
  schema["$defs"] = std::move(definitions);
  return schema;
}

std::string presence_text(const FieldInfo& field) {
  switch (field.presence) {
    case Presence::kRequired: return "required";
    case Presence::kOptional: return "";
    case Presence::kAlternative: return "one of these";
    case Presence::kDefaulted: break;
  }
  // What an object is by default stands with the object.
  return field.default_value.is_object()
             ? ""
             : fmt::format("`{}`", field.default_value.is_string()
                                       ? field.default_value.get<std::string>()
                                       : field.default_value.dump());
}

std::string object_markdown(const ObjectInfo& object) {
  std::string out = fmt::format("\n### {}\n\n{}\n", object.word, object.sentence);
  if (!object.bare_field.empty()) {
    out += fmt::format("May be written as the list of its `{}` alone.\n", object.bare_field);
  }
  for (const Shape& shape : object.shapes) {
    if (!shape.selected.empty()) out += fmt::format("\nWith `{}`:\n", shape.selected);
    out += "\n| field | type | default | meaning |\n|---|---|---|---|\n";
    for (const FieldInfo& field : shape.fields) {
      out += fmt::format("| `{}` | {} | {} | {} |\n", field.name, field.type.text,
                         presence_text(field), field.sentence);
    }
  }
  return out;
}

template <typename T>
std::string kind_markdown(Kind kind) {
  Catalog catalog;
  catalog.add_root(T{});
  std::string out = fmt::format("\n## Kind {}\n", to_string(kind));
  for (const ObjectInfo& object : catalog.objects()) out += object_markdown(object);
  return out;
}

}  // namespace

Json json_schema(Kind kind) {
  switch (kind) {
    case Kind::kHostConfig: return document_schema<HostConfig>(kind);
    case Kind::kPolicy: return document_schema<Policy>(kind);
    case Kind::kPolicyTest: return document_schema<PolicyTest>(kind);
  }
  return {};
}

std::string reference_markdown() {
  std::string out =
      "# Policy reference\n\n"
      "Generated from the tables of fields (`control/policy/fields*.hpp`, `slugs.def`) by\n"
      "`gannet-schema markdown`; do not edit.\n\n"
      "Every document begins with `apiVersion: gannet/v1` and its `kind`. A file may hold "
      "several,\n"
      "separated by `---`; the files of a directory are one policy. Names are letters, digits, "
      "`_`, `.`\n"
      "and `-`, at most 63, beginning with a letter or a digit; `main` is reserved.\n";
  out += kind_markdown<Policy>(Kind::kPolicy);
  out += kind_markdown<HostConfig>(Kind::kHostConfig);
  out += kind_markdown<PolicyTest>(Kind::kPolicyTest);
  out += "\n## Diagnostics\n\n| slug | meaning |\n|---|---|\n";
  for (const auto& [slug, sentence] : slug_texts())
    out += fmt::format("| `{}` | {} |\n", slug, sentence);
  return out;
}

}  // namespace gannet::control
