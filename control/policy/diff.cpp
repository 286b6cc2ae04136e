// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/diff.hpp"

#include "control/policy/json_writer.hpp"

#include <array>
#include <concepts>
#include <map>
#include <utility>

namespace gannet::control {
namespace {

/// Collects the fields in which two objects differ.
class FieldDiff {
 public:
  [[nodiscard]] std::vector<FieldChange> take() && { return std::move(changes_); }

  void compare_objects(const std::string& path, const Json& before, const Json& after) {
    const std::string prefix = path.empty() ? "" : path + ".";
    for (const auto& [key, value] : after.items()) {
      const auto old = before.find(key);
      compare(prefix + key, old == before.end() ? nullptr : &*old, &value);
    }
    for (const auto& [key, value] : before.items()) {
      if (!after.contains(key)) compare(prefix + key, &value, nullptr);
    }
  }

 private:
  using Items = std::map<std::string, const Json*>;

  // What tells one element of a list from another: the name of a rule, the destination of a route.
  static std::string identity(const Json& item) {
    for (const char* const key : {"name", "to"}) {
      if (item.is_object() && item.contains(key) && item[key].is_string()) return item[key];
    }
    return {};
  }

  // The elements of a list that can be told apart, or nothing if they cannot.
  static Items by_identity(const Json& list) {
    Items out;
    for (const Json& item : list) {
      const std::string id = identity(item);
      if (id.empty() || !out.emplace(id, &item).second) return {};
    }
    return out;
  }

  void compare(const std::string& path, const Json* before, const Json* after) {
    if (before != nullptr && after != nullptr) {
      if (*before == *after) return;
      if (before->is_object() && after->is_object()) return compare_objects(path, *before, *after);
      if (before->is_array() && after->is_array() && compare_lists(path, *before, *after)) return;
    }
    changes_.push_back(
        {path, before == nullptr ? "" : before->dump(), after == nullptr ? "" : after->dump()});
  }

  // Compares lists element by element; false if the elements cannot be told apart.
  bool compare_lists(const std::string& path, const Json& before, const Json& after) {
    const Items old_items = by_identity(before);
    const Items new_items = by_identity(after);
    if (old_items.size() != before.size() || new_items.size() != after.size()) return false;
    const auto find = [](const Items& items, const std::string& id) {
      const auto found = items.find(id);
      return found == items.end() ? nullptr : found->second;
    };
    for (const Json& item : after) {
      const std::string id = identity(item);
      compare(path + "/" + id, find(old_items, id), &item);
    }
    for (const Json& item : before) {
      const std::string id = identity(item);
      if (!new_items.contains(id)) compare(path + "/" + id, &item, nullptr);
    }
    compare_order(path, common_names(before, new_items), common_names(after, old_items));
    return true;
  }

  // Of elements with a name the order decides, of routes it has no meaning.
  static Json common_names(const Json& list, const Items& others) {
    Json names = Json::array();
    for (const Json& item : list) {
      if (item.contains("name") && others.contains(identity(item))) names.push_back(item["name"]);
    }
    return names;
  }

  void compare_order(const std::string& path, const Json& before, const Json& after) {
    if (before != after) changes_.push_back({path + " (order)", before.dump(), after.dump()});
  }

  std::vector<FieldChange> changes_;
};

class PolicyDiff {
 public:
  [[nodiscard]] std::vector<ObjectChange> take() && { return std::move(changes_); }

  template <typename T>
  void compare_sections(std::string_view kind, const Dictionary<T>& before,
                        const Dictionary<T>& after, const std::string& owner = "") {
    for (const T& object : after) {
      const T* const old = before.find(object.name);
      if (old == nullptr) {
        changes_.push_back({kind, owner + object.name, ChangeKind::kAdded, {}});
      } else if (!(*old == object)) {
        add_changed(kind, owner + object.name, *old, object);
      }
      if constexpr (std::same_as<T, Vpc>) compare_vpcs(old, &object);
    }
    for (const T& object : before) {
      if (after.find(object.name) != nullptr) continue;
      if constexpr (std::same_as<T, Vpc>) compare_vpcs(&object, nullptr);
      changes_.push_back({kind, owner + object.name, ChangeKind::kRemoved, {}});
    }
  }

  template <typename T>
  void add_changed(std::string_view kind, std::string name, const T& before, const T& after) {
    Json old_fields = JsonWriter::write_fields(before);
    Json new_fields = JsonWriter::write_fields(after);
    for (Json* const fields : {&old_fields, &new_fields}) {
      // Objects of their own.
      fields->erase("subnets");
      fields->erase("mappings");
    }
    FieldDiff diff;
    diff.compare_objects("", old_fields, new_fields);
    auto changed = std::move(diff).take();
    if (changed.empty()) return;
    changes_.push_back({kind, std::move(name), ChangeKind::kChanged, std::move(changed)});
  }

 private:
  void compare_vpcs(const Vpc* before, const Vpc* after) {
    static const Vpc kNone{};
    const std::string owner = (after == nullptr ? before : after)->name + "/";
    const Vpc& b = before == nullptr ? kNone : *before;
    const Vpc& a = after == nullptr ? kNone : *after;
    compare_sections("subnet", b.subnets, a.subnets, owner);
    compare_sections("mapping", b.mappings, a.mappings, owner);
  }

  std::vector<ObjectChange> changes_;
};

}  // namespace

std::string_view to_string(ChangeKind kind) {
  constexpr auto kWords = std::to_array<std::string_view>({"added", "removed", "changed"});
  return kWords[static_cast<std::size_t>(kind)];
}

std::vector<ObjectChange> diff(const Policy& before, const Policy& after) {
  PolicyDiff changes;
  if (!(before.metadata == after.metadata)) {
    changes.add_changed("metadata", *after.metadata->name, *before.metadata, *after.metadata);
  }
  changes.compare_sections("prefix_list", before.prefix_lists, after.prefix_lists);
  changes.compare_sections("vpc", before.vpcs, after.vpcs);
  changes.compare_sections("route_table", before.route_tables, after.route_tables);
  changes.compare_sections("security_group", before.security_groups, after.security_groups);
  changes.compare_sections("eni", before.enis, after.enis);
  changes.compare_sections("nat_gateway", before.nat_gateways, after.nat_gateways);
  changes.compare_sections("load_balancer", before.load_balancers, after.load_balancers);
  return std::move(changes).take();
}

}  // namespace gannet::control
