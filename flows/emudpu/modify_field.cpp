// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/modify_field.hpp"

#include "flows/emudpu/packet_key.hpp"

#include <algorithm>
#include <cstring>

namespace gannet::emudpu {
namespace {

struct FieldName {
  int rte_field;
  FieldId field;
  std::uint32_t bits;
};

constexpr FieldName kFields[] = {
    {RTE_FLOW_FIELD_MAC_DST, FieldId::kMacDestination, 48},
    {RTE_FLOW_FIELD_MAC_SRC, FieldId::kMacSource, 48},
    {RTE_FLOW_FIELD_VLAN_ID, FieldId::kVlanId, 12},
    {RTE_FLOW_FIELD_IPV4_DSCP, FieldId::kDscp, 6},
    {RTE_FLOW_FIELD_IPV4_ECN, FieldId::kEcn, 2},
    {RTE_FLOW_FIELD_IPV4_TTL, FieldId::kTtl, 8},
    {RTE_FLOW_FIELD_IPV4_SRC, FieldId::kIpv4Source, 32},
    {RTE_FLOW_FIELD_IPV4_DST, FieldId::kIpv4Destination, 32},
    {RTE_FLOW_FIELD_IPV6_DSCP, FieldId::kDscp, 6},
    {RTE_FLOW_FIELD_IPV6_ECN, FieldId::kEcn, 2},
    {RTE_FLOW_FIELD_IPV6_HOPLIMIT, FieldId::kTtl, 8},
    {RTE_FLOW_FIELD_IPV6_SRC, FieldId::kIpv6Source, 128},
    {RTE_FLOW_FIELD_IPV6_DST, FieldId::kIpv6Destination, 128},
    {RTE_FLOW_FIELD_TCP_PORT_SRC, FieldId::kSourcePort, 16},
    {RTE_FLOW_FIELD_TCP_PORT_DST, FieldId::kDestinationPort, 16},
    {RTE_FLOW_FIELD_TCP_SEQ_NUM, FieldId::kTcpSequence, 32},
    {RTE_FLOW_FIELD_TCP_ACK_NUM, FieldId::kTcpAcknowledgment, 32},
    {RTE_FLOW_FIELD_TCP_FLAGS, FieldId::kTcpFlags, 8},
    {RTE_FLOW_FIELD_UDP_PORT_SRC, FieldId::kSourcePort, 16},
    {RTE_FLOW_FIELD_UDP_PORT_DST, FieldId::kDestinationPort, 16},
};

const FieldName* find_field(int rte_field) {
  const auto* const found = std::ranges::find(kFields, rte_field, &FieldName::rte_field);
  return found == std::end(kFields) ? nullptr : found;
}

// Value bytes are in network order, as in the field's item.
std::uint32_t read_value(const std::uint8_t* value, std::uint32_t bits) {
  std::uint32_t number = 0;
  for (unsigned i = 0; i < (bits + 7) / 8; ++i) number = number << 8 | value[i];
  return bits == 32 ? number : number & ((1u << bits) - 1);
}

}  // namespace

int compile_modify_field(const rte_flow_action_modify_field& action, ProgramBuffer& program,
                         const char** why) {
  const FieldName* const to = find_field(action.dst.field);
  *why = "field cannot be modified";
  if (to == nullptr || action.dst.level > 1) return -1;
  *why = "only whole fields can be modified";
  if (action.width != to->bits || action.dst.offset != 0) return -1;
  *why = "too many actions";
  const bool is_immediate = action.src.field == RTE_FLOW_FIELD_VALUE;
  if (!is_immediate && action.src.field != RTE_FLOW_FIELD_POINTER) {
    const FieldName* const from = find_field(action.src.field);
    if (from == nullptr || from->bits != to->bits || action.src.level > 1 ||
        action.src.offset != 0 || action.operation != RTE_FLOW_MODIFY_SET) {
      *why = "source is not a field of the same width";
      return -1;
    }
    const auto number = static_cast<std::uint32_t>(from->field);
    return program.add(OpCode::kCopy, number, 0, to->field) != nullptr ? 0 : -1;
  }
  const auto* const value = is_immediate ? static_cast<const std::uint8_t*>(action.src.value)
                                         : static_cast<const std::uint8_t*>(action.src.pvalue);
  if (to->bits > 32) {
    if (action.operation != RTE_FLOW_MODIFY_SET) {
      *why = "no arithmetic on this field";
      return -1;
    }
    Op* const op = program.add(OpCode::kSet, 0, sizeof(SetData), to->field);
    if (op == nullptr) return -1;
    op->data<SetData>() = SetData{};
    std::memcpy(op->data<SetData>().value, value, to->bits / 8);
    return 0;
  }
  std::uint32_t number = read_value(value, to->bits);
  if (action.operation == RTE_FLOW_MODIFY_SUB) number = 0 - number;
  const OpCode code = action.operation == RTE_FLOW_MODIFY_SET ? OpCode::kSet : OpCode::kAdd;
  return program.add(code, number, 0, to->field) != nullptr ? 0 : -1;
}

}  // namespace gannet::emudpu
