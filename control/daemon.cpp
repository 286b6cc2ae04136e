// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon.hpp"

#include "control/host_ports.hpp"
#include "control/machine.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <event2/event.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr std::uint32_t kMinBuffers = 8'192;
constexpr std::uint64_t kBytesPerBuffer = 2'560;  // With headroom, at the usual MTU.
constexpr timeval kDrainingTick{0, 200'000};

Ticks ticks(Duration duration) { return duration_ticks(static_cast<Nanos>(duration.count())); }

dataplane::HugePages huge_pages_of(HugePages wish) {
  switch (wish) {
    case HugePages::kAuto: return dataplane::HugePages::kAuto;
    case HugePages::kRequired: return dataplane::HugePages::kRequired;
    case HugePages::kNone: return dataplane::HugePages::kNone;
  }
  return dataplane::HugePages::kAuto;
}

}  // namespace

dataplane::TrackingConfig tracking_of(const HostConfig& host, Nanos now, bool has_huge_pages) {
  using Class = flows::TimeoutClass;
  dataplane::TrackingConfig tracking;
  const auto set = [&tracking](Class c, Duration timeout) {
    tracking.timeouts[static_cast<std::size_t>(c)] = ticks(timeout);
  };
  set(Class::kTcpTransitory, host.timers.tcp_transitory);
  set(Class::kTcpEstablished, host.timers.tcp_established);
  set(Class::kUdp, host.timers.udp);
  set(Class::kUdpStream, host.timers.udp_stream);
  set(Class::kIcmp, host.timers.icmp);
  set(Class::kOther, host.timers.udp);
  tracking.picks_up_midstream = host.tracking.midstream;
  tracking.picks_up_until = now + static_cast<Nanos>(host.tracking.midstream_after_start.count());
  tracking.ip4_capacity = host.capacity.connections;
  tracking.ip6_capacity = std::max(host.capacity.connections / 4, 1u);
  tracking.use_huge_pages = has_huge_pages;
  return tracking;
}

HostFacts facts_of(const HostConfig& host, dataplane::Dataplane& dataplane) {
  HostFacts facts;
  for (const HostPort& port : host.ports) {
    const auto index = static_cast<std::uint16_t>(facts.ports.size());
    if (port.name == *host.underlay.port) {
      facts.uplink = index;
      facts.uplink_mac = dataplane.ports()[index].mac();
    }
    facts.ports.push_back(port.name);
    facts.worker_of_port.push_back(dataplane.worker_of_port(index));
  }
  for (const auto& ip : host.underlay.ips) facts.underlay_ips.push_back(*ip);
  if (host.underlay.gateway.is_given) facts.gateway = host.underlay.gateway->v4();
  facts.mtu = *host.underlay.mtu;
  facts.vxlan_port = host.underlay.vxlan_port;
  facts.worker_count = dataplane.worker_count();
  facts.neighbor = [&dataplane](Ip4 ip) { return dataplane.neighbors().find_or_add(ip); };
  return facts;
}

Result<std::unique_ptr<Daemon>> Daemon::create(const HostConfig& host) {
  std::unique_ptr<Daemon> daemon(new Daemon(host));
  daemon->base_ = event_base_new();
  // The socket first: a second daemon must not touch a port before it knows that it is the second.
  if (const auto opened = daemon->open_sockets(); !opened) return tl::unexpected(opened.error());
  if (const auto opened = daemon->open_dataplane(); !opened) return tl::unexpected(opened.error());
  daemon->watch_signals();
  return daemon;
}

Result<void> Daemon::open_sockets() {
  auto api = ApiServer::listen(base_, *host_.api.socket,
                               [this](const ApiRequest& request, ApiReply reply) {
                                 routes_->handle(request, std::move(reply));
                               });
  if (!api) return tl::unexpected(api.error());
  api_ = std::move(*api);
  return {};
}

Result<void> Daemon::open_dataplane() {
  if (const auto checked = check_machine(host_); !checked) return tl::unexpected(checked.error());
  if (const auto checked = check_interfaces(host_); !checked) {
    return tl::unexpected(checked.error());
  }
  const std::vector<std::string> pci = pci_addresses(host_);
  std::vector<const char*> pci_devices;
  for (const std::string& address : pci) pci_devices.push_back(address.c_str());
  dataplane::EalConfig eal;
  eal.memory_bytes = host_.memory.size->bytes;
  eal.huge_pages = huge_pages_of(host_.memory.hugepages);
  eal.pci_devices = pci_devices;
  auto started = dataplane::Eal::start(eal);
  if (!started) return tl::unexpected(started.error());
  eal_.emplace(std::move(*started));

  std::vector<std::string> devices;
  for (const HostPort& port : host_.ports) devices.push_back(devargs_of(port, *host_.underlay.mtu));
  std::vector<dataplane::PortConfig> ports;
  for (const HostPort& port : host_.ports) {
    const bool is_uplink = port.name == *host_.underlay.port;
    ports.push_back({port.name.c_str(), devices[ports.size()].c_str(),
                     is_uplink ? *host_.underlay.mtu : std::uint16_t{0}, is_uplink});
  }
  std::vector<unsigned> cores;
  for (const auto& core : host_.workers.cores) cores.push_back(*core);
  const dataplane::Clock clock;
  dataplane::DataplaneConfig config;
  config.ports = ports;
  config.cores = cores;
  config.idle = host_.workers.idle == IdleBehaviour::kSpin ? dataplane::Idle::kSpin
                                                           : dataplane::Idle::kAdaptive;
  config.tracking = tracking_of(host_, clock.now(), eal_->has_huge_pages());
  config.fragment_timeout = ticks(host_.timers.fragment);
  config.buffer_count = static_cast<std::uint32_t>(
      std::max<std::uint64_t>(eal.memory_bytes / 2 / kBytesPerBuffer, kMinBuffers));
  config.max_mtu = *host_.underlay.mtu;
  config.clock = clock;
  auto dataplane = dataplane::Dataplane::create(config);
  if (!dataplane) return tl::unexpected(dataplane.error());
  dataplane_ = std::move(*dataplane);
  controller_ = std::make_unique<Controller>(host_, facts_of(host_, *dataplane_), *dataplane_);
  routes_ = std::make_unique<ApiRoutes>(base_, *controller_);
  if (host_.metrics && host_.metrics->listen.is_given) {
    auto metrics = MetricsServer::listen(base_, *host_.metrics->listen, *controller_);
    if (!metrics) return tl::unexpected(metrics.error());
    metrics_ = std::move(*metrics);
  }
  dataplane_->start();
  return {};
}

void Daemon::watch_signals() {
  // A client that goes away before its answer is complete is an error of that connection alone.
  std::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGTERM, SIGINT}) {
    event* const e = evsignal_new(
        base_, number,
        [](evutil_socket_t, short, void* base) {
          event_base_loopbreak(static_cast<event_base*>(base));
        },
        base_);
    event_add(e, nullptr);
    events_.push_back(e);
  }
  event* const timer = event_new(
      base_, -1, EV_PERSIST,
      [](evutil_socket_t, short, void* self) {
        static_cast<Daemon*>(self)->controller_->expire_draining(std::chrono::steady_clock::now());
      },
      this);
  event_add(timer, &kDrainingTick);
  events_.push_back(timer);
}

// The one line of sd_notify(3) that a service of Type=notify needs.
void Daemon::tell_systemd(const char* state) const {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sendto(fd, state, std::strlen(state), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  close(fd);
}

int Daemon::run() {
  fmt::print("gannetd: forwarding on {} ports with {} workers; API on {}\n", host_.ports.size(),
             dataplane_->worker_count(), *host_.api.socket);
  std::fflush(stdout);
  tell_systemd("READY=1");
  event_base_dispatch(base_);
  tell_systemd("STOPPING=1");
  return 0;
}

Daemon::~Daemon() {
  for (event* const e : events_) event_free(e);
  metrics_.reset();
  api_.reset();
  routes_.reset();
  controller_.reset();
  dataplane_.reset();
  eal_.reset();
  if (base_ != nullptr) event_base_free(base_);
}

}  // namespace gannet::control
