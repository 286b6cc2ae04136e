/* SPDX-License-Identifier: BSD-3-Clause */
/* What the emulated DPU offers beyond ethdev and rte_flow, for tests. A card is named by its
 * device, such as "net_emudpu0". A program that loads the driver with EAL's -d finds these with
 * dlsym() on the same file. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One turn of the ASIC of a card with manual=1, at the given monotonic time: takes up to a burst
 * from each wire and each transmit queue, carries out what is due in flow queues, and ages. Returns
 * the number of packets taken in (0: nothing is left to do), or -ENODEV, or -EBUSY if the card has
 * a thread of its own. Must not be called by two threads at once. */
int rte_pmd_emudpu_poll(const char* card, uint64_t now_ns);

/* Sets a fault, as devarg fault_NAME=VALUE and telemetry do (docs/emudpu.md). Returns 0, -ENODEV or
 * -EINVAL. */
int rte_pmd_emudpu_fault(const char* card, const char* name, const char* value);

/* Resets the card: all rules are gone, every port raises RTE_ETH_EVENT_INTR_RESET. */
int rte_pmd_emudpu_reset(const char* card);

/* The ethdev of the representor of port `index` (0: uplink, 1: first VF), or -ENODEV. */
int rte_pmd_emudpu_port(const char* card, unsigned int index);

/* A card's own counters, since start. */
struct rte_pmd_emudpu_stats {
  uint64_t rules_in_use;
  uint64_t counters_in_use;
  uint64_t ages_in_use;
  uint64_t inserted;
  uint64_t destroyed;
  uint64_t refused_by_check;
  uint64_t refused_full;
  uint64_t refused_by_fault;
  uint64_t lost_by_reset;
  uint64_t faults_injected;
  uint64_t refused_handles;
  uint64_t rules_without_handle;
};
int rte_pmd_emudpu_stats_get(const char* card, struct rte_pmd_emudpu_stats* stats);

#ifdef __cplusplus
}
#endif
