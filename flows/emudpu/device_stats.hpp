// SPDX-License-Identifier: BSD-3-Clause
// Statistics of a representor (what the program received and sent) and, as extended statistics, of
// its wire and of what the card did by itself.
#pragma once

#include <ethdev_driver.h>

namespace gannet::emudpu {

void add_statistics(eth_dev_ops& operations);

}  // namespace gannet::emudpu
