// SPDX-License-Identifier: BSD-3-Clause
// DPDK's libraries are not built with the thread sanitizer, so it does not see that a ring or a
// pool of theirs orders what two threads do, and reports races that are none. These make the order
// visible: a pool that is compiled here, and callbacks on ports that stand for
// the ring inside the driver.
#pragma once

#include <cstdint>

namespace gannet::test {

/// Lets all packet pools made from now on use it; before the first one is made.
void use_visible_mempool();

/// Of the wires of one bench: who lays a frame before a port or takes one from it says so.
void before_enqueue();
void after_dequeue();
/// Adds the callbacks that say the same on the port's side.
void make_port_visible(std::uint16_t ethdev);

}  // namespace gannet::test
