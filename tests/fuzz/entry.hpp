// SPDX-License-Identifier: BSD-3-Clause
// The one function of a fuzz target. libFuzzer calls it with what it makes up; replay_test.cpp with
// what is kept in corpus/.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
