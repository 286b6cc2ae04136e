// SPDX-License-Identifier: BSD-3-Clause
// rte_mtr: single rate three colour meters that rules use by the METER action. Policies may pass or
// drop a colour. Control threads.
#include "flows/emudpu/registry.hpp"

#include <algorithm>
#include <cerrno>

namespace gannet::emudpu {
namespace {

int refuse(rte_mtr_error* error, int code, rte_mtr_error_type type, const char* message) {
  return rte_mtr_error_set(error, code, type, nullptr, message);
}

std::uint64_t name_of(const Port& port, std::uint32_t id) {
  return std::uint64_t{port.index} << 32 | id;
}

// Runs `act(card, name)` under the card's lock.
template <typename F>
int locked(const rte_eth_dev* device, std::uint32_t id, F act) {
  const Port& port = port_of(device);
  const std::lock_guard guard(port.card->lock());
  return act(*port.card, name_of(port, id));
}

int capabilities_get(rte_eth_dev* device, rte_mtr_capabilities* out, rte_mtr_error*) {
  const std::uint32_t count = port_of(device).card->profile().meters;
  *out = {};
  out->n_max = count;
  out->n_shared_max = count;
  out->identical = 1;
  out->shared_identical = 1;
  out->shared_n_flows_per_mtr_max = UINT32_MAX;
  out->chaining_n_mtrs_per_flow_max = 1;
  out->meter_srtcm_rfc2697_n_max = count;
  out->meter_rate_max = UINT64_MAX;
  out->meter_policy_n_max = count;
  out->srtcm_rfc2697_byte_mode_supported = 1;
  out->stats_mask = RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_YELLOW |
                    RTE_MTR_STATS_N_PKTS_RED | RTE_MTR_STATS_N_PKTS_DROPPED |
                    RTE_MTR_STATS_N_BYTES_GREEN | RTE_MTR_STATS_N_BYTES_YELLOW |
                    RTE_MTR_STATS_N_BYTES_RED | RTE_MTR_STATS_N_BYTES_DROPPED;
  return 0;
}

int profile_add(rte_eth_dev* device, std::uint32_t id, rte_mtr_meter_profile* profile,
                rte_mtr_error* error) {
  return locked(device, id, [&](Card& card, std::uint64_t name) {
    if (profile == nullptr || profile->alg != RTE_MTR_SRTCM_RFC2697 || profile->packet_mode != 0) {
      return refuse(error, ENOTSUP, RTE_MTR_ERROR_TYPE_METER_PROFILE, "only RFC 2697, by bytes");
    }
    const auto& rates = profile->srtcm_rfc2697;
    const MeterProfile made{rates.cir, rates.cbs, rates.ebs, 0};
    if (!card.meters().profiles.emplace(name, made).second) {
      return refuse(error, EEXIST, RTE_MTR_ERROR_TYPE_METER_PROFILE_ID,
                    "the profile is there already");
    }
    return 0;
  });
}

int profile_delete(rte_eth_dev* device, std::uint32_t id, rte_mtr_error* error) {
  return locked(device, id, [&](Card& card, std::uint64_t name) {
    const auto found = card.meters().profiles.find(name);
    if (found == card.meters().profiles.end() || found->second.users != 0) {
      return refuse(error, EBUSY, RTE_MTR_ERROR_TYPE_METER_PROFILE_ID,
                    "no such profile, or one in use");
    }
    card.meters().profiles.erase(found);
    return 0;
  });
}

// What a policy does with a colour: 1 drops it, 0 lets it pass, negative: it asks for more.
int read_policy(const rte_flow_action* actions) {
  if (actions == nullptr) return 0;
  bool drops = false;
  for (; actions->type != RTE_FLOW_ACTION_TYPE_END; ++actions) {
    if (actions->type == RTE_FLOW_ACTION_TYPE_DROP) {
      drops = true;
    } else if (actions->type != RTE_FLOW_ACTION_TYPE_VOID &&
               actions->type != RTE_FLOW_ACTION_TYPE_PASSTHRU) {
      return -ENOTSUP;
    }
  }
  return drops ? 1 : 0;
}

int policy_validate(rte_eth_dev*, rte_mtr_meter_policy_params* policy, rte_mtr_error* error) {
  const bool is_good =
      policy != nullptr && std::ranges::all_of(policy->actions, [](const rte_flow_action* list) {
        return read_policy(list) >= 0;
      });
  return is_good ? 0
                 : refuse(error, ENOTSUP, RTE_MTR_ERROR_TYPE_METER_POLICY,
                          "a colour passes or is dropped");
}

int policy_add(rte_eth_dev* device, std::uint32_t id, rte_mtr_meter_policy_params* policy,
               rte_mtr_error* error) {
  if (const int status = policy_validate(device, policy, error); status != 0) return status;
  return locked(device, id, [&](Card& card, std::uint64_t name) {
    MeterPolicy made;
    for (unsigned color = 0; color < 3; ++color)
      made.drops[color] = read_policy(policy->actions[color]) == 1;
    if (!card.meters().policies.emplace(name, made).second) {
      return refuse(error, EEXIST, RTE_MTR_ERROR_TYPE_METER_POLICY_ID,
                    "the policy is there already");
    }
    return 0;
  });
}

int policy_delete(rte_eth_dev* device, std::uint32_t id, rte_mtr_error* error) {
  return locked(device, id, [&](Card& card, std::uint64_t name) {
    const auto found = card.meters().policies.find(name);
    if (found == card.meters().policies.end() || found->second.users != 0) {
      return refuse(error, EBUSY, RTE_MTR_ERROR_TYPE_METER_POLICY_ID,
                    "no such policy, or one in use");
    }
    card.meters().policies.erase(found);
    return 0;
  });
}

int create(rte_eth_dev* device, std::uint32_t id, rte_mtr_params* params, int,
           rte_mtr_error* error) {
  const Port& port = port_of(device);
  return locked(device, id, [&](Card& card, std::uint64_t name) {
    MeterStore& store = card.meters();
    const auto profile = store.profiles.find(name_of(port, params->meter_profile_id));
    const auto policy = store.policies.find(name_of(port, params->meter_policy_id));
    if (profile == store.profiles.end()) {
      return refuse(error, EINVAL, RTE_MTR_ERROR_TYPE_METER_PROFILE_ID, "no such profile");
    }
    if (policy == store.policies.end()) {
      return refuse(error, EINVAL, RTE_MTR_ERROR_TYPE_METER_POLICY_ID, "no such policy");
    }
    if (store.meters.contains(name)) {
      return refuse(error, EEXIST, RTE_MTR_ERROR_TYPE_MTR_ID, "the meter is there already");
    }
    if (store.meters.size() >= card.profile().meters) {
      return refuse(error, ENOSPC, RTE_MTR_ERROR_TYPE_UNSPECIFIED, "no free meter");
    }
    auto made = std::make_unique<Meter>();
    made->profile = &profile->second;
    made->policy = &policy->second;
    made->is_enabled.store(params->meter_enable != 0);
    made->fill();
    ++made->profile->users;
    ++made->policy->users;
    store.meters.emplace(name, std::move(made));
    return 0;
  });
}

// Runs `act(meter)` on a meter that exists.
template <typename F>
int with_meter(const rte_eth_dev* device, std::uint32_t id, rte_mtr_error* error, F act) {
  return locked(device, id, [&](Card& card, std::uint64_t name) {
    const auto found = card.meters().meters.find(name);
    if (found == card.meters().meters.end()) {
      return refuse(error, ENOENT, RTE_MTR_ERROR_TYPE_MTR_ID, "no such meter");
    }
    return act(*found->second, card);
  });
}

int destroy(rte_eth_dev* device, std::uint32_t id, rte_mtr_error* error) {
  const Port& port = port_of(device);
  return with_meter(device, id, error, [&](Meter& meter, Card& card) {
    if (meter.rule_count != 0)
      return refuse(error, EBUSY, RTE_MTR_ERROR_TYPE_MTR_ID, "rules use the meter");
    --meter.profile->users;
    --meter.policy->users;
    card.meters().meters.erase(name_of(port, id));
    return 0;
  });
}

int set_enabled(const rte_eth_dev* device, std::uint32_t id, bool is_enabled,
                rte_mtr_error* error) {
  return with_meter(device, id, error, [is_enabled](Meter& meter, Card&) {
    meter.is_enabled.store(is_enabled);
    return 0;
  });
}

int stats_read(rte_eth_dev* device, std::uint32_t id, rte_mtr_stats* stats, std::uint64_t* mask,
               int clear, rte_mtr_error* error) {
  return with_meter(device, id, error, [&](Meter& meter, Card&) {
    *stats = {};
    for (unsigned color = 0; color < 3; ++color) {
      Counter& counter = meter.counters[color];
      const std::uint64_t packets = counter.packets.load(std::memory_order_relaxed);
      const std::uint64_t bytes = counter.bytes.load(std::memory_order_relaxed);
      stats->n_pkts[color] = packets - counter.packets_base;
      stats->n_bytes[color] = bytes - counter.bytes_base;
      if (meter.policy->drops[color]) {
        stats->n_pkts_dropped += stats->n_pkts[color];
        stats->n_bytes_dropped += stats->n_bytes[color];
      }
      if (clear != 0) {
        counter.packets_base = packets;
        counter.bytes_base = bytes;
      }
    }
    rte_mtr_capabilities capabilities;
    capabilities_get(device, &capabilities, error);
    *mask = capabilities.stats_mask;
    return 0;
  });
}

}  // namespace

const rte_mtr_ops& meter_operations() {
  static const rte_mtr_ops operations = [] {
    rte_mtr_ops ops{};
    ops.capabilities_get = capabilities_get;
    ops.meter_profile_add = profile_add;
    ops.meter_profile_delete = profile_delete;
    ops.meter_policy_validate = policy_validate;
    ops.meter_policy_add = policy_add;
    ops.meter_policy_delete = policy_delete;
    ops.create = create;
    ops.destroy = destroy;
    ops.meter_enable = [](rte_eth_dev* device, std::uint32_t id, rte_mtr_error* error) {
      return set_enabled(device, id, true, error);
    };
    ops.meter_disable = [](rte_eth_dev* device, std::uint32_t id, rte_mtr_error* error) {
      return set_enabled(device, id, false, error);
    };
    ops.stats_read = stats_read;
    return ops;
  }();
  return operations;
}

}  // namespace gannet::emudpu
