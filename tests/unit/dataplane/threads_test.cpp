// SPDX-License-Identifier: BSD-3-Clause
// Two workers as the threads that they are in the daemon, with packets in flight while policies
// come and go. What a race would break is seen by the thread sanitizer; here, that nothing is lost.
#include "dataplane/eal.hpp"
#include "tests/packet/bench_switch.hpp"
#include "tests/support/literals.hpp"
#include "tests/support/visible_mempool.hpp"

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace gannet::test {
namespace {

using namespace std::chrono_literals;

constexpr int kPolicies = 40;

struct Vm {
  const char* port;
  IpAddress ip;
  Mac mac;
};
const Vm kVms[] = {{"vm1", "10.10.1.11"_ip, "02:00:0a:0a:01:0b"_mac},
                   {"vm2", "10.10.2.12"_ip, "02:00:0a:0a:02:0c"_mac},
                   {"vm3", "10.10.1.13"_ip, "02:00:0a:0a:01:0d"_mac}};
const Mac kGateway = "02:67:6e:74:00:01"_mac;
const IpAddress kBehindTunnel = "10.10.2.20"_ip;
const IpAddress kInternet = "8.8.8.8"_ip;

// vm1 and vm3 are neighbours; everybody else is reached by the gateway.
Bytes frame_of(const Vm& from, const IpAddress& to, std::uint16_t port) {
  const bool is_direct = from.port[2] != '2' && (to == kVms[0].ip || to == kVms[2].ip);
  const Mac& mac = !is_direct ? kGateway : to == kVms[0].ip ? kVms[0].mac : kVms[2].mac;
  return Packet().eth(from.mac, mac).ip(from.ip, to).udp(port, 9000).data(64).bytes();
}

class Threads : public testing::Test {
 protected:
  void SetUp() override {
    BenchConfig config;
    config.worker_count = 2;
    config.vm_ports = {"vm1", "vm2", "vm3"};
    config.is_live = true;
    auto made = BenchSwitch::create(config);
    ASSERT_TRUE(made) << made.error().message;
    bench_ = std::move(*made);
    bench_->set_neighbor("192.0.2.1"_ip4, "02:00:00:00:02:01"_mac);
    bench_->set_neighbor("192.0.2.12"_ip4, "02:00:00:00:02:0c"_mac);
    std::ifstream file(GANNET_SOURCE_ROOT "/tests/packet/policies/base.yaml");
    open_policy_.assign(std::istreambuf_iterator<char>(file), {});
    ASSERT_FALSE(open_policy_.empty());
    closed_policy_ = open_policy_;
    const std::string open = "open: {default: {ingress: allow, egress: allow}}";
    closed_policy_.replace(closed_policy_.find(open), open.size(),
                           "open: {default: {ingress: deny, egress: allow}}");
  }

  void apply(const std::string& text) {
    const auto applied = bench_->apply("base.yaml", text);
    ASSERT_TRUE(applied) << applied.error().message;
    const auto generation = bench_->controller().generation();
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (bench_->dataplane().conforming_generation() < generation) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "never conforms";
      bench_->run();
    }
  }

  // Sends until told to stop: between all VMs, to a tunnel, to the internet.
  void pump(const std::atomic<bool>& is_over) {
    std::uint16_t port = 1;
    while (!is_over.load(std::memory_order_relaxed)) {
      for (const Vm& from : kVms) {
        for (const Vm& to : kVms) {
          if (from.port != to.port) bench_->send(from.port, frame_of(from, to.ip, port));
        }
        bench_->send(from.port, frame_of(from, kBehindTunnel, port));
        bench_->send(from.port, frame_of(from, kInternet, port));
      }
      port = static_cast<std::uint16_t>(port % 20 + 1);
      std::this_thread::sleep_for(200us);
    }
  }

  // Frames that have come out of a port so far, with what is still on its way.
  std::size_t settle(const std::string& port) {
    const auto end = std::chrono::steady_clock::now() + 300ms;
    while (std::chrono::steady_clock::now() < end) bench_->run();
    const auto output = bench_->take_output();
    const auto found = output.find(port);
    return found == output.end() ? 0 : found->second.size();
  }

  std::unique_ptr<BenchSwitch> bench_;
  std::string open_policy_;
  std::string closed_policy_;
};

TEST_F(Threads, PoliciesComeWhilePacketsFlow) {
  apply(open_policy_);
  std::atomic<bool> is_over{false};
  std::thread sender([&] { pump(is_over); });
  for (int i = 0; i < kPolicies && !HasFatalFailure(); ++i) {
    apply(i % 2 == 0 ? closed_policy_ : open_policy_);
  }
  is_over = true;
  sender.join();
  EXPECT_GT(settle("vm1"), 0U);
  EXPECT_EQ(bench_->unbalanced(), "");
  EXPECT_GT(bench_->fast_count(), 0U);
  EXPECT_GT(bench_->drops()["sg_ingress_denied"], 0U);
}

// What is in force when the receipt is given decides about every packet after it.
TEST_F(Threads, AfterTheReceiptNoPacketTakesTheOldVerdict) {
  apply(open_policy_);
  bench_->send("vm1", frame_of(kVms[0], kVms[1].ip, 7));
  EXPECT_EQ(settle("vm2"), 1U);
  apply(closed_policy_);
  bench_->send("vm1", frame_of(kVms[0], kVms[1].ip, 7));
  EXPECT_EQ(settle("vm2"), 0U);
  apply(open_policy_);
  bench_->send("vm1", frame_of(kVms[0], kVms[1].ip, 7));
  EXPECT_EQ(settle("vm2"), 1U);
}

}  // namespace
}  // namespace gannet::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gannet::dataplane::EalConfig config;
  config.program = "threads_test";
  config.huge_pages = gannet::dataplane::HugePages::kNone;
  const auto eal = gannet::dataplane::Eal::start(config);
  if (!eal) return 1;
  gannet::test::use_visible_mempool();
  return RUN_ALL_TESTS();
}
