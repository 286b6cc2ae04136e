// SPDX-License-Identifier: BSD-3-Clause
// What YAML readers, yaml-cpp among them, pass over in silence or tell wrongly.
#include "tests/unit/control/policy/findings.hpp"

#include <array>

namespace gannet::control {
namespace {

constexpr auto kYamlMistakes = std::to_array<Mistake>({
    {"tab", "", "apiVersion: gannet/v1\nkind: Policy\nvpcs:\n«tab-indentation|\t»shop: {}\n"},
    {"two tabs, both told", "",
     "kind: Policy\nvpcs:\n  «tab-indentation|\t»a: 1\n«tab-indentation|\t»b: 2\n"},
    {"open bracket", "", "apiVersion: gannet/v1\nkind: Policy\nvpcs: {shop: [1«syntax|}»\n",
     "opened here"},
    {"bad indentation", "", "apiVersion: gannet/v1\nkind: Policy\n vpcs«syntax|:» {}\n"},
    {"unknown anchor", "", "apiVersion: gannet/v1\nkind: Policy\nvpcs: «syntax|*»nowhere\n",
     "no anchor"},
    {"text after the document", "", "apiVersion: gannet/v1\n...\n«syntax|m»ore: 1\n"},
    {"anchor inside itself", "", "vpcs: &a {b: «alias-limit|*a»}\n"},
    {"merge key", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: a, labels: {«merge-key|<<»: {b: "
     "c}}}\n"},
    {"tag", "", "apiVersion: gannet/v1\nkind: «unsupported-tag|!»!str Policy\n"},
    {"list as a key", "", "apiVersion: gannet/v1\nkind: Policy\n? «bad-key|[»a, b]\n: c\n"},
    {"nothing as a key", "", "apiVersion: gannet/v1\nkind: Policy\n«bad-key|:» a\n"},
    {"duplicate key", "",
     "apiVersion: gannet/v1\nkind: Policy\nvpcs: {}\nenis: {}\n«duplicate-key|vpcs»: {}\n",
     "first defined here"},
    {"three times the same key", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: a, «duplicate-key|name»: b, "
     "«duplicate-key|name»: c}\n"},
    {"quoted and plain key", "",
     "apiVersion: gannet/v1\nkind: Policy\nenis: {}\n«duplicate-key|\"enis\"»: {}\n"},
    {"duplicate key among many", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata:\n  name: x\n  labels: {a: a, b: b, c: c, d: "
     "d, "
     "e: e, f: f, g: g, h: h, i: i, j: j, k: k, l: l, m: m, n: n, o: o, p: p, «duplicate-key|f»: "
     "q, "
     "r: r}\n"},
    // yaml-cpp gives the place of the anchor.
    {"place of an alias", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: &n «wrong-type|[»a]}\nenis: "
     "«wrong-type|*n»\nvpcs: {}\n"},
    {"NUL", "", std::string_view("apiVersion: gannet/v1\nkind: «invalid-text|\0»Policy\n", 51)},
    {"control character", "", "kind: «invalid-text|\x07»Policy\n"},
    {"end of transmission is no end", "", "kind: Policy\n«invalid-text|\x04»\nvpcs: {{{\n"},
    {"byte order mark inside", "", "kind: Policy\n«invalid-text|\xef»\xbb\xbf\n"},
    {"UTF-16", "", "«invalid-text|\xff»\xfe k\n", "UTF-16"},
    {"Latin-1", "", "metadata: {name: caf«invalid-text|\xe9»}\n", "not UTF-8"},
    {"overlong", "", "metadata: {name: «invalid-text|\xc0»\xaf}\n"},
    {"surrogate", "", "metadata: {name: «invalid-text|\xed»\xa0\x80}\n"},
    {"escaped NUL", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: «invalid-text|\"a\\x00b\"»}\n"},
    {"lone carriage return", "", "kind: Policy«invalid-text|\r»vpcs: {}\n"},
    // Columns count characters, not bytes.
    {"column behind umlauts", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: a, labels: {ä: öü}, «unknown-field|x»: "
     "1}\n"},
    {"no apiVersion", "", "«missing-field|k»ind: Policy\n"},
    {"no kind", "", "«missing-field|a»piVersion: gannet/v1\n"},
    {"neither is a text", "", "apiVersion: «wrong-type|[»]\nkind: «wrong-type|{»}\n"},
    {"other version", "", "apiVersion: «unknown-version|gannet/v2»\nkind: Policy\n", "gannet/v1"},
    {"other kind", "", "apiVersion: gannet/v1\nkind: «unknown-kind|Polcy»\n",
     "did you mean 'Policy'"},
    {"a list as a document", "", "«wrong-type|-» a\n"},
    {"two documents, both wrong", "",
     "apiVersion: gannet/v1\nkind: «unknown-kind|A»\n---\napiVersion: gannet/v1\nkind: "
     "«unknown-kind|B»\n"},
    {"metadata that contradicts", "",
     "apiVersion: gannet/v1\nkind: Policy\nmetadata: {name: a}\n---\napiVersion: gannet/v1\nkind: "
     "Policy\nmetadata: «conflicting-metadata|{»name: b}\n",
     "the other one is here"},
    {"the same name in two documents", "",
     "apiVersion: gannet/v1\nkind: Policy\nprefix_lists: {a: [1.2.3.4]}\n---\napiVersion: "
     "gannet/v1\nkind: Policy\nprefix_lists: {«duplicate-name|a»: [1.2.3.4]}\n",
     "first defined here"},
});

}  // namespace

std::span<const Mistake> yaml_mistakes() { return kYamlMistakes; }

}  // namespace gannet::control
