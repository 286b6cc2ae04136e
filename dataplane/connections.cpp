// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/connections.hpp"

#include <utility>

namespace gannet::dataplane {
namespace {

using flows::TimeoutClass;

constexpr Ticks kRetryTicks = 16;  // 17 ms: another worker's ring was full.
// How long data may revive a connection that was reset while a card carried it (R27).
constexpr Ticks kRevivalTicks = duration_ticks(10 * kNanosPerSecond);

TimeoutClass class_of(flows::TcpState state) {
  const bool is_open =
      state == flows::TcpState::kEstablished || state == flows::TcpState::kHalfClosed;
  return is_open ? TimeoutClass::kTcpEstablished : TimeoutClass::kTcpTransitory;
}

}  // namespace

Result<std::unique_ptr<Connections>> Connections::create(const TrackingConfig& config,
                                                         const flows::HashSeed& seed, Nanos now,
                                                         Mailbox mailbox) {
  auto v4 =
      flows::Ip4FlowTable::create(config.ip4_capacity, seed, to_ticks(now), config.use_huge_pages,
                                  redirect_room(config.ip4_capacity, config.worker_count));
  if (!v4) return tl::unexpected(v4.error());
  auto v6 =
      flows::Ip6FlowTable::create(config.ip6_capacity, seed, to_ticks(now), config.use_huge_pages,
                                  redirect_room(config.ip6_capacity, config.worker_count));
  if (!v6) return tl::unexpected(v6.error());
  auto mappings = NatMappings::create(config.ip4_capacity, seed);
  if (!mappings) return tl::unexpected(mappings.error());
  return std::unique_ptr<Connections>(
      new Connections(config, std::move(*v4), std::move(*v6), std::move(*mappings), mailbox));
}

Connections::Connections(const TrackingConfig& config, std::unique_ptr<flows::Ip4FlowTable> v4,
                         std::unique_ptr<flows::Ip6FlowTable> v6, NatMappings mappings,
                         Mailbox mailbox)
    : config_(config),
      v4_(std::move(v4)),
      v6_(std::move(v6)),
      mappings_(std::move(mappings)),
      judge_(&mappings_),
      usage_(kMaxEniCount),
      redirects_at_{std::vector<std::uint32_t>(config.worker_count),
                    std::vector<std::uint32_t>(config.worker_count)},
      mailbox_(mailbox) {}

template <typename Key>
flows::TcpVerdict Connections::track(flows::FlowRef ref, const flows::TcpSegment& segment,
                                     Ticks now) {
  auto& connection = table<Key>()[ref.connection()];
  auto& shared = connection.shared;
  const flows::TcpState before = shared.tcp_state;
  // What the card has carried since the last look is not known.
  if ((connection.details.card_flags & flows::kOnCard) != 0) {
    flows::forget_windows(connection.details.tcp);
  }
  const flows::TcpVerdict verdict =
      flows::track_tcp(connection.details.tcp, shared.tcp_state, ref.direction(), segment);
  if (shared.tcp_state != before) {
    if (desk_ != nullptr) follow_state<Key>(ref.connection());
    shared.timeout_class = class_of(shared.tcp_state);
    // One that is to end keeps its appointment.
    if ((shared.flags & flows::kDoomed) == 0) {
      table<Key>().arm(ref.connection(), now + timeout_of(connection));
    }
    if (shared.tcp_state == flows::TcpState::kEstablished) {
      table<Key>().clear_embryonic(ref.connection());
    }
  }
  return verdict;
}

// A connection that ends leaves the card, whose rules know nothing of states (O3, R27).
template <typename Key>
void Connections::follow_state(std::uint32_t index) {
  auto& connection = table<Key>()[index];
  const flows::TcpState state = connection.shared.tcp_state;
  std::uint8_t& card_flags = connection.details.card_flags;
  const bool is_reset = state == flows::TcpState::kClosed;
  if (!is_reset && state != flows::TcpState::kClosing) {
    card_flags &= static_cast<std::uint8_t>(~flows::kResetOnCard);
    return;
  }
  if (is_reset && (card_flags & flows::kOnCard) != 0) card_flags |= flows::kResetOnCard;
  desk_->withdraw(table<Key>(), index, false);
}

template <typename Key>
Ticks Connections::timeout_of(const flows::Connection<Key>& connection) const {
  const bool may_revive = connection.shared.tcp_state == flows::TcpState::kClosed &&
                          (connection.details.card_flags & flows::kResetOnCard) != 0;
  return may_revive ? kRevivalTicks : timeout(connection.shared.timeout_class);
}

template <typename Key>
void Connections::on_due(std::uint32_t index, Ticks now) {
  const auto& connection = table<Key>()[index];
  const Ticks deadline = connection.last_seen() + timeout_of(connection);
  const bool is_doomed = (connection.shared.flags & flows::kDoomed) != 0;
  if (!is_doomed && !reached(now, deadline)) {
    table<Key>().arm(index, deadline);
  } else if (!is_doomed && desk_ != nullptr && !desk_->is_idle_on_card<Key>(index)) {
    table<Key>().arm(index, now + kRetryTicks);
  } else {
    close<Key>(index, now);
  }
}

unsigned Connections::read_offload_answers(Nanos now, unsigned budget) {
  const Ticks ticks = to_ticks(now);
  return desk_->read_answers(
      *v4_, *v6_, now, budget, [&](std::uint32_t i) { on_due<flows::Ip4Key>(i, ticks); },
      [&](std::uint32_t i) { on_due<flows::Ip6Key>(i, ticks); });
}

unsigned Connections::age(Ticks now, unsigned budget) {
  mappings_.expire(now, budget);
  return v4_->advance(now, budget, [&](std::uint32_t i) { on_due<flows::Ip4Key>(i, now); }) +
         v6_->advance(now, budget, [&](std::uint32_t i) { on_due<flows::Ip6Key>(i, now); });
}

template <typename Key>
bool Connections::close(std::uint32_t index, Ticks now) {
  auto& records = table<Key>();
  auto& connection = records[index];
  auto& shared = connection.shared;
  if (desk_ != nullptr) desk_->withdraw(records, index, false);
  if ((shared.flags & flows::kHasRedirect) != 0) {
    if (!tell<Key>(connection.details.redirect_worker, NoticeKind::kRemoveRedirect,
                   connection.flows[1].key)) {
      shared.flags |= flows::kDoomed;
      records.arm(index, now + kRetryTicks);
      return false;
    }
  }
  if ((shared.flags & flows::kHasRedirect) != 0) {
    --redirects_at<Key>(connection.details.redirect_worker);
  }
  if ((shared.flags & flows::kHasNatMapping) != 0) mappings_.release(shared.nat_mapping, now);
  if (shared.owner_eni != flows::kNoEni) --usage_[shared.owner_eni].connection_count;
  if (desk_ != nullptr) desk_->withdraw(records, index, true);
  records.release(index);
  return true;
}

#define GANNET_INSTANTIATE(Key)                                                                \
  template flows::TcpVerdict Connections::track<Key>(flows::FlowRef, const flows::TcpSegment&, \
                                                     Ticks);                                   \
  template bool Connections::close<Key>(std::uint32_t, Ticks)
GANNET_INSTANTIATE(flows::Ip4Key);
GANNET_INSTANTIATE(flows::Ip6Key);
#undef GANNET_INSTANTIATE

}  // namespace gannet::dataplane
