// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy/json.hpp"

#include "control/policy/decode.hpp"
#include "control/policy/fields_host.hpp"
#include "control/policy/fields_test.hpp"
#include "control/policy/json_writer.hpp"

namespace gannet::control {
namespace {

template <typename T>
Json write_document(const T& document, Kind kind) {
  Json out{{"apiVersion", kApiVersion}, {"kind", to_string(kind)}};
  out.update(JsonWriter::write(document));
  return out;
}

}  // namespace

Json to_json(const Policy& policy) { return write_document(policy, Kind::kPolicy); }
Json to_json(const HostConfig& host) { return write_document(host, Kind::kHostConfig); }
Json to_json(const PolicyTest& test) { return write_document(test, Kind::kPolicyTest); }

Json to_json(const Metadata& metadata) { return JsonWriter::write(metadata); }
Json to_json(const PrefixList& list) { return JsonWriter::write(list); }
Json to_json(const Vpc& vpc) { return JsonWriter::write(vpc); }
Json to_json(const Subnet& subnet) { return JsonWriter::write(subnet); }
Json to_json(const Mapping& mapping) { return JsonWriter::write(mapping); }
Json to_json(const RouteTable& table) { return JsonWriter::write(table); }
Json to_json(const SecurityGroup& group) { return JsonWriter::write(group); }
Json to_json(const Eni& eni) { return JsonWriter::write(eni); }
Json to_json(const NatGateway& gateway) { return JsonWriter::write(gateway); }
Json to_json(const LoadBalancer& balancer) { return JsonWriter::write(balancer); }

}  // namespace gannet::control
