// SPDX-License-Identifier: BSD-3-Clause
// How far apart two cores are. It decides what ports of shared memory cost, and where the cores of
// a virtual machine are is for its host to say, who moves them: a factor of five within seconds.
#pragma once

namespace gannet::bench {

/// \return the nanoseconds that a cache line takes from the calling thread's core to another one
/// and back: some 100 below one L3 cache, 500 and more else. The other core has to be free; takes
/// some milliseconds.
[[nodiscard]] double core_round_trip_ns(unsigned other_core);

}  // namespace gannet::bench
