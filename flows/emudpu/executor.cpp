// SPDX-License-Identifier: BSD-3-Clause
#include "flows/emudpu/executor.hpp"

#include "flows/emudpu/meter.hpp"

namespace gannet::emudpu {
namespace {

// A card's pipeline is finite; programs use a handful of groups in a row.
constexpr int kMaxTables = 32;

template <typename F>
void for_each_op(const std::uint8_t* program, std::uint32_t bytes, F visit) {
  for (std::uint32_t at = 0; at < bytes;) {
    const Op& op = *reinterpret_cast<const Op*>(program + at);
    if (!visit(op)) return;
    at += op.bytes;
  }
}

}  // namespace

bool Executor::run(rte_mbuf* packet, ParsedPacket& parsed, const GroupTable& transfer,
                   const PortTables* ports) {
  const bool is_from_program = (parsed.key.source & kFromProgram) != 0;
  const auto port = static_cast<std::uint16_t>(parsed.key.source & ~kFromProgram);
  Work work{PacketEditor(packet, parsed, vxlan_ports_, pool_), parsed, ports, port};
  if (is_from_program && !ports[port].egress->is_empty() &&
      walk(work, *ports[port].egress, false) == Outcome::kTaken) {
    return true;
  }
  if (walk(work, transfer, false) == Outcome::kTaken) return true;
  if (is_from_program) {
    outputs_.to_wire(port, work.editor.packet());
  } else {
    deliver(work, port);
  }
  return false;
}

Executor::Outcome Executor::walk(Work& work, const GroupTable& root, bool is_up) {
  const GroupTable* table = &root;
  for (int count = 0; count < kMaxTables; ++count) {
    Rule* const rule = table->find(work.parsed.key);
    if (rule == nullptr) {
      if (is_up && work.ports[work.port].is_isolated) break;
      return Outcome::kMissed;
    }
    account(*rule, *work.editor.packet());
    const GroupTable* next = nullptr;
    const Outcome outcome = execute(work, rule->program(), rule->program_bytes, next);
    if (next == nullptr) return outcome;
    table = next;
    work.editor.refresh();
  }
  drop(work, is_up ? DropCause::kIsolated : DropCause::kLoop);
  return Outcome::kTaken;
}

Executor::Outcome Executor::execute(Work& work, const std::uint8_t* program, std::uint32_t bytes,
                                    const GroupTable*& next) {
  Outcome outcome = Outcome::kMissed;
  for_each_op(program, bytes, [&](const Op& op) {
    switch (op.code) {
      case OpCode::kMark:
        work.editor.packet()->hash.fdir.hi = op.number;
        work.editor.packet()->ol_flags |= RTE_MBUF_F_RX_FDIR | RTE_MBUF_F_RX_FDIR_ID;
        return true;
      case OpCode::kFlag: work.editor.packet()->ol_flags |= RTE_MBUF_F_RX_FDIR; return true;
      case OpCode::kMeter:
        if (is_in_profile(work, op)) return true;
        drop(work, DropCause::kMeter);
        outcome = Outcome::kTaken;
        return false;
      case OpCode::kSample: sample(work, op); return true;
      case OpCode::kSet:
      case OpCode::kAdd:
      case OpCode::kCopy:
      case OpCode::kPushVlan:
      case OpCode::kPopVlan:
      case OpCode::kVxlanDecap:
      case OpCode::kRemoveHead:
      case OpCode::kAddHead:
        if (change(work.editor, op)) return true;
        drop(work, DropCause::kPacket);
        outcome = Outcome::kTaken;
        return false;
      default:
        work.editor.commit();
        outcome = decide(work, op, next);
        return false;
    }
  });
  return outcome;
}

bool Executor::change(PacketEditor& editor, const Op& op) {
  if (!editor.make_writable()) return false;
  switch (op.code) {
    case OpCode::kSet:
      editor.set(op.field, op.number, op.bytes > sizeof(Op) ? &op.data<SetData>() : nullptr);
      return true;
    case OpCode::kAdd: editor.add(op.field, op.number); return true;
    case OpCode::kCopy: editor.copy(op.field, static_cast<FieldId>(op.number)); return true;
    case OpCode::kPushVlan: return editor.push_vlan(static_cast<std::uint16_t>(op.number));
    case OpCode::kPopVlan: return editor.pop_vlan();
    case OpCode::kVxlanDecap: return editor.decap_vxlan();
    case OpCode::kRemoveHead: return editor.remove_head(op.number);
    default: {
      const auto& head = op.data<HeadData>();
      return editor.add_head(head, reinterpret_cast<const std::uint8_t*>(&head + 1));
    }
  }
}

Executor::Outcome Executor::decide(Work& work, const Op& op, const GroupTable*& next) {
  rte_mbuf* const packet = work.editor.packet();
  switch (op.code) {
    case OpCode::kDrop: drop(work, DropCause::kRule); return Outcome::kTaken;
    case OpCode::kToWire:
      outputs_.to_wire(static_cast<std::uint16_t>(op.number), packet);
      return Outcome::kTaken;
    case OpCode::kToProgram:
      deliver(work, static_cast<std::uint16_t>(op.number));
      return Outcome::kTaken;
    case OpCode::kJump:
      next = static_cast<const GroupTable*>(op.data<PointerData>().pointer);
      return Outcome::kMissed;
    case OpCode::kQueue:
      outputs_.to_program(work.port, static_cast<int>(op.number), packet, work.parsed);
      return Outcome::kTaken;
    case OpCode::kRss: {
      const auto* const queues = reinterpret_cast<const std::uint16_t*>(&op + 1);
      const std::uint16_t queue = queues[hash_flow(work.parsed) % op.number];
      outputs_.to_program(work.port, queue, packet, work.parsed);
      return Outcome::kTaken;
    }
    default: return Outcome::kMissed;
  }
}

bool Executor::is_in_profile(Work& work, const Op& op) const {
  auto& meter = *static_cast<Meter*>(op.data<PointerData>().pointer);
  if (!meter.is_enabled.load(std::memory_order_relaxed)) return true;
  return !meter.policy->drops[meter.take(work.editor.packet()->pkt_len, now_)];
}

void Executor::sample(Work& work, const Op& op) {
  // The count is the ASIC thread's own, though the program around it is read-only.
  auto& data = const_cast<SampleData&>(op.data<SampleData>());
  if (++data.seen < data.ratio) return;
  data.seen = 0;
  work.editor.commit();
  rte_mbuf* const copy = rte_pktmbuf_copy(work.editor.packet(), pool_, 0, UINT32_MAX);
  if (copy == nullptr) return;
  ParsedPacket parsed = work.parsed;
  Work copied{PacketEditor(copy, parsed, vxlan_ports_, pool_), parsed, work.ports, work.port};
  copied.editor.refresh();
  const GroupTable* next = nullptr;
  const auto* const program = reinterpret_cast<const std::uint8_t*>(&data + 1);
  if (execute(copied, program, data.program_bytes, next) == Outcome::kMissed) {
    deliver(copied, work.port);
  }
}

void Executor::deliver(Work& work, std::uint16_t port) {
  const PortTables& tables = work.ports[port];
  work.port = port;
  if (!tables.ingress->is_empty() || tables.is_isolated) {
    work.editor.refresh();
    if (walk(work, *tables.ingress, true) == Outcome::kTaken) return;
  }
  outputs_.to_program(port, Outputs::kAnyQueue, work.editor.packet(), work.parsed);
}

void Executor::account(Rule& rule, const rte_mbuf& packet) const {
  if (rule.counter != nullptr) rule.counter->add(1, packet.pkt_len);
  if (rule.age != nullptr) rule.age->last_hit.store(now_, std::memory_order_relaxed);
}

}  // namespace gannet::emudpu
