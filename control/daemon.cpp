// SPDX-License-Identifier: BSD-3-Clause
#include "control/daemon.hpp"

#include "control/host_ports.hpp"
#include "control/machine.hpp"
#include "control/policy/render.hpp"
#include "control/policy/values.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <event2/event.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace gannet::control {
namespace {

constexpr std::uint32_t kMinBuffers = 8'192;
constexpr std::uint64_t kBytesPerBuffer = 2'560;  // With headroom, at the usual MTU.
constexpr timeval kDrainingTick{0, 200'000};
constexpr timeval kPortTick{1, 0};
constexpr timeval kUpkeepTick{0, 20'000};  // Adds to what a probe's answer takes.

Ticks ticks(Duration duration) { return duration_ticks(static_cast<Nanos>(duration.count())); }

ProbeNumbers random_numbers() {
  ProbeNumbers numbers;
  GANNET_CHECK(getrandom(&numbers, sizeof numbers, 0) == sizeof numbers);
  return numbers;
}

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
  facts.clamps_mss = host.underlay.clamp_mss;
  facts.worker_count = dataplane.worker_count();
  facts.neighbor = [&dataplane](Ip4 ip) { return dataplane.neighbors().find_or_add(ip); };
  return facts;
}

std::vector<std::string> card_ports_of(const HostConfig& host) {
  std::vector<std::string> ports;
  if (!host.nic) return ports;
  ports.push_back(*host.nic->uplink);
  for (const Reference& vf : host.nic->vfs) ports.push_back(*vf);
  return ports;
}

std::optional<dataplane::OffloadSettings> offload_settings_of(const HostConfig& host) {
  if (!host.nic) return std::nullopt;
  dataplane::OffloadSettings settings;
  settings.min_packets = host.offload.min_packets;
  settings.is_strict_tcp = host.tracking.strict_tcp == StrictTcp::kTrue;
  settings.guard_ip_bytes = offload_config_of(host).guards.max_ip_bytes;
  return settings;
}

OffloadManagerConfig offload_config_of(const HostConfig& host) {
  OffloadManagerConfig config;
  for (const std::string& name : card_ports_of(host)) {
    const auto at = std::find_if(host.ports.begin(), host.ports.end(),
                                 [&name](const HostPort& port) { return port.name == name; });
    config.ports.push_back(static_cast<std::uint16_t>(at - host.ports.begin()));
  }
  // What a tunnel carries is the least of all paths: the MTU counts neither Ethernet header, but
  // the inner one is tunnelled, so that the sum is the same.
  constexpr unsigned kTunnelBytes = packet::kVxlanOverIpv4Bytes;
  config.guards.max_ip_bytes = static_cast<std::uint16_t>(*host.underlay.mtu - kTunnelBytes);
  config.guards.vxlan_port = host.underlay.vxlan_port;
  config.engine.max_rules_per_eni = host.offload.max_rules_per_eni;
  config.is_enabled = host.offload.mode == OffloadMode::kAuto;
  return config;
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
  if (const auto started = start_eal(); !started) return started;
  if (const auto opened = open_card(); !opened) return opened;
  if (const auto opened = open_ports(); !opened) return opened;
  if (const auto opened = open_control(); !opened) return opened;
  dataplane_->start();
  return {};
}

Result<void> Daemon::start_eal() {
  const std::vector<std::string> pci = pci_addresses(host_);
  std::vector<const char*> pci_devices;
  for (const std::string& address : pci) pci_devices.push_back(address.c_str());
  const std::string driver = emulated_card_driver();
  const char* const plugins[] = {driver.c_str()};
  dataplane::EalConfig eal;
  eal.memory_bytes = host_.memory.size->bytes;
  eal.huge_pages = huge_pages_of(host_.memory.hugepages);
  eal.pci_devices = pci_devices;
  if (host_.nic && host_.nic->type == NicType::kEmulated) eal.plugins = plugins;
  auto started = dataplane::Eal::start(eal);
  if (!started) return tl::unexpected(started.error());
  eal_.emplace(std::move(*started));
  return {};
}

Result<void> Daemon::open_card() {
  if (!host_.nic || host_.nic->type != NicType::kEmulated) return {};
  std::vector<std::string> wires;
  for (const std::string& name : card_ports_of(host_)) {
    wires.push_back(devargs_of(*host_.ports.find(name), *host_.underlay.mtu));
  }
  auto card = EmulatedCard::open(
      {wires, std::string(to_string(host_.nic->profile)), *host_.nic->arguments});
  if (!card) return tl::unexpected(card.error());
  card_.emplace(std::move(*card));
  return {};
}

Result<void> Daemon::open_ports() {
  const std::vector<std::string> on_card = card_ports_of(host_);
  std::vector<std::string> devices;
  std::vector<bool> hangs_on_card;
  for (const HostPort& port : host_.ports) {
    const auto wire = std::find(on_card.begin(), on_card.end(), port.name);
    hangs_on_card.push_back(wire != on_card.end());
    devices.push_back(card_ && wire != on_card.end()
                          ? card_->representor(static_cast<std::size_t>(wire - on_card.begin()))
                          : devargs_of(port, *host_.underlay.mtu));
  }
  std::vector<dataplane::PortConfig> ports;
  for (const HostPort& port : host_.ports) {
    const bool is_uplink = port.name == *host_.underlay.port;
    const std::size_t i = ports.size();
    ports.push_back({port.name.c_str(), devices[i].c_str(),
                     is_uplink ? *host_.underlay.mtu : std::uint16_t{0}, is_uplink,
                     hangs_on_card[i]});
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
      std::max<std::uint64_t>(host_.memory.size->bytes / 2 / kBytesPerBuffer, kMinBuffers));
  config.max_mtu = *host_.underlay.mtu;
  config.offload = offload_settings_of(host_);
  config.clock = clock;
  auto dataplane = dataplane::Dataplane::create(config);
  if (!dataplane) return tl::unexpected(dataplane.error());
  dataplane_ = std::move(*dataplane);
  return {};
}

Result<void> Daemon::open_control() {
  std::string card_refusal;
  if (host_.nic) {
    auto offload = OffloadManager::create(offload_config_of(host_), *dataplane_);
    // A card that can hold no rule is still a card: everything goes by software.
    if (!offload) card_refusal = offload.error().message;
    if (offload) offload_ = std::move(*offload);
  }
  if (!card_refusal.empty()) fmt::print(stderr, "gannetd: {}\n", card_refusal);
  controller_ = std::make_unique<Controller>(host_, facts_of(host_, *dataplane_), *dataplane_,
                                             offload_.get());
  controller_->note_card_refusal(std::move(card_refusal));
  port_watch_ = std::make_unique<PortWatch>(host_, *dataplane_);
  controller_->watch_ports(*port_watch_);
  upkeep_ = std::make_unique<Upkeep>(*controller_, random_numbers());
  routes_ = std::make_unique<ApiRoutes>(base_, *controller_);
  if (!host_.metrics || !host_.metrics->listen.is_given) return {};
  auto metrics = MetricsServer::listen(base_, *host_.metrics->listen, *controller_);
  if (!metrics) return tl::unexpected(metrics.error());
  metrics_ = std::move(*metrics);
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
    signals_.push_back(e);
  }
  add_timer(kDrainingTick, [](evutil_socket_t, short, void* self) {
    static_cast<Daemon*>(self)->controller_->expire_draining(std::chrono::steady_clock::now());
  });
  add_timer(kPortTick, [](evutil_socket_t, short, void* self) {
    auto& daemon = *static_cast<Daemon*>(self);
    daemon.port_watch_->run();
    if (daemon.offload_) daemon.card_watch_.run(*daemon.offload_, daemon.dataplane_->clock().now());
  });
  add_timer(kUpkeepTick,
            [](evutil_socket_t, short, void* self) { static_cast<Daemon*>(self)->upkeep_->run(); });
}

void Daemon::add_timer(const timeval& every, void (*call)(int, short, void*)) {
  event* const timer = event_new(base_, -1, EV_PERSIST, call, this);
  event_add(timer, &every);
  timers_.push_back(timer);
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
  fmt::print("gannetd: forwarding on {} with {}; API on {}\n", plural(host_.ports.size(), "port"),
             plural(dataplane_->worker_count(), "worker"), *host_.api.socket);
  std::fflush(stdout);
  tell_systemd("READY=1");
  event_base_dispatch(base_);
  tell_systemd("STOPPING=1");
  return 0;
}

Daemon::~Daemon() {
  for (event* const timer : timers_) event_free(timer);
  metrics_.reset();
  api_.reset();
  routes_.reset();
  upkeep_.reset();
  controller_.reset();
  port_watch_.reset();
  offload_.reset();
  dataplane_.reset();
  card_.reset();
  eal_.reset();
  for (event* const e : signals_) event_free(e);
  if (base_ != nullptr) event_base_free(base_);
}

}  // namespace gannet::control
