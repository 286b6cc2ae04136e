// SPDX-License-Identifier: BSD-3-Clause
#include "control/metrics.hpp"

#include <cerrno>
#include <cstring>
#include <iterator>

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace gannet::control {
namespace {

using dataplane::Counter;
using dataplane::DropReason;
using dataplane::PathCounters;
using dataplane::PortCounters;
using dataplane::WorkerStats;

struct PortMetric {
  std::string_view name;
  std::string_view help;
  Counter PortCounters::*counter;
};
constexpr PortMetric kPortMetrics[] = {
    {"gannet_port_received_packets_total", "Packets received on the port",
     &PortCounters::rx_packets},
    {"gannet_port_received_bytes_total", "Bytes received on the port", &PortCounters::rx_bytes},
    {"gannet_port_sent_packets_total", "Packets given to the port", &PortCounters::tx_packets},
    {"gannet_port_sent_bytes_total", "Bytes given to the port", &PortCounters::tx_bytes},
    {"gannet_port_forwarded_packets_total", "Packets received on the port and sent on any",
     &PortCounters::forwarded_packets},
    {"gannet_port_card_received_packets_total", "Packets of the port that the card dealt with",
     &PortCounters::card_rx_packets},
    {"gannet_port_card_sent_packets_total", "Packets that the card sent by the port",
     &PortCounters::card_tx_packets},
    {"gannet_port_originated_packets_total", "Packets made by the switch on account of the port",
     &PortCounters::originated_packets},
};

struct PathMetric {
  std::string_view name;
  std::string_view help;
  Counter PathCounters::*counter;
};
constexpr PathMetric kPathMetrics[] = {
    {"gannet_worker_fast_packets_total", "Packets that took a flow from the table",
     &PathCounters::fast_packets},
    {"gannet_worker_card_packets_total", "Packets of the worker's flows that the card carried",
     &PathCounters::card_packets},
    {"gannet_worker_slow_packets_total", "Packets that the slow path looked at",
     &PathCounters::slow_packets},
    {"gannet_worker_first_packets_total", "Packets that opened a connection",
     &PathCounters::first_packets},
    {"gannet_worker_answered_packets_total", "Questions that the switch answered",
     &PathCounters::answers},
    {"gannet_worker_lost_log_entries_total", "Entries of the rule log that were too many",
     &PathCounters::lost_news},
};

struct Gauge {
  std::string_view name;
  std::string_view help;
  std::atomic<std::uint64_t> WorkerStats::*value;
};
constexpr Gauge kGauges[] = {
    {"gannet_worker_connections", "Connections in the flow tables", &WorkerStats::connections},
    {"gannet_worker_connection_capacity", "Connections that fit",
     &WorkerStats::connection_capacity},
    {"gannet_worker_nat_mappings", "NAT port mappings in use or reserved",
     &WorkerStats::nat_mappings},
};

void head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void add_ports(std::string& out, Controller& c) {
  dataplane::Dataplane& dataplane = c.dataplane();
  const auto& names = c.facts().ports;
  for (const PortMetric& metric : kPortMetrics) {
    head(out, metric.name, metric.help, "counter");
    for (std::size_t port = 0; port < names.size(); ++port) {
      std::uint64_t total = 0;
      for (unsigned w = 0; w < dataplane.worker_count(); ++w) {
        total += (dataplane.worker(w).stats().ports[port].*metric.counter).read();
      }
      fmt::format_to(std::back_inserter(out), "{}{{port=\"{}\"}} {}\n", metric.name, names[port],
                     total);
    }
  }
  head(out, "gannet_port_dropped_packets_total", "Packets dropped, by reason", "counter");
  for (std::size_t port = 0; port < names.size(); ++port) {
    for (std::size_t reason = 1; reason < dataplane::kDropReasonCount; ++reason) {
      std::uint64_t total = 0;
      for (unsigned w = 0; w < dataplane.worker_count(); ++w) {
        total += dataplane.worker(w).stats().ports[port].drops[reason].read();
      }
      fmt::format_to(std::back_inserter(out),
                     "gannet_port_dropped_packets_total{{port=\"{}\",reason=\"{}\"}} {}\n",
                     names[port], dataplane::name_of(static_cast<DropReason>(reason)), total);
    }
  }
}

struct LossMetric {
  std::string_view name;
  std::string_view help;
  std::uint64_t dataplane::PortLosses::*count;
};
constexpr LossMetric kLossMetrics[] = {
    {"gannet_port_missed_packets_total", "Packets lost before a worker took them: queue full",
     &dataplane::PortLosses::missed_packets},
    {"gannet_port_damaged_packets_total", "Packets that the device received damaged",
     &dataplane::PortLosses::error_packets},
    {"gannet_port_bufferless_packets_total", "Packets for which the driver had no buffer",
     &dataplane::PortLosses::no_buffer_packets},
};

// What only the devices know.
void add_devices(std::string& out, Controller& c) {
  const auto& names = c.facts().ports;
  for (const LossMetric& metric : kLossMetrics) {
    head(out, metric.name, metric.help, "counter");
    for (std::size_t port = 0; port < names.size(); ++port) {
      fmt::format_to(std::back_inserter(out), "{}{{port=\"{}\"}} {}\n", metric.name, names[port],
                     c.dataplane().ports()[port].losses().*metric.count);
    }
  }
  head(out, "gannet_port_up", "Whether the port's link is up", "gauge");
  for (std::size_t port = 0; port < names.size(); ++port) {
    fmt::format_to(std::back_inserter(out), "gannet_port_up{{port=\"{}\"}} {}\n", names[port],
                   c.link_of(port) == kLinkUp ? 1 : 0);
  }
}

void add_workers(std::string& out, Controller& c) {
  dataplane::Dataplane& dataplane = c.dataplane();
  for (const PathMetric& metric : kPathMetrics) {
    head(out, metric.name, metric.help, "counter");
    for (unsigned w = 0; w < dataplane.worker_count(); ++w) {
      fmt::format_to(std::back_inserter(out), "{}{{worker=\"{}\"}} {}\n", metric.name, w,
                     (dataplane.worker(w).stats().path.*metric.counter).read());
    }
  }
  for (const Gauge& gauge : kGauges) {
    head(out, gauge.name, gauge.help, "gauge");
    for (unsigned w = 0; w < dataplane.worker_count(); ++w) {
      fmt::format_to(std::back_inserter(out), "{}{{worker=\"{}\"}} {}\n", gauge.name, w,
                     (dataplane.worker(w).stats().*gauge.value).load());
    }
  }
}

struct OffloadMetric {
  std::string_view name;
  std::string_view help;
  std::uint64_t offload::EngineStats::*count;
};
constexpr OffloadMetric kOffloadMetrics[] = {
    {"gannet_offload_installed_rules_total", "Rules of flows put on the card",
     &offload::EngineStats::installed},
    {"gannet_offload_removed_rules_total", "Rules of flows taken from the card",
     &offload::EngineStats::removed},
    {"gannet_offload_resets_total", "Resets of the card", &offload::EngineStats::resets},
    {"gannet_offload_wrong_rules_total", "Rules that did something else, and were removed",
     &offload::EngineStats::wrong},
    {"gannet_offload_orphan_rules_total", "Rules that no connection had, and were removed",
     &offload::EngineStats::orphans},
    {"gannet_offload_lost_rules_total", "Flows that took a rule for theirs that was not there",
     &offload::EngineStats::lost},
};

void add_offload(std::string& out, Controller& c) {
  if (c.offload() == nullptr) return;
  const offload::EngineStats stats = c.offload()->status().stats;
  for (const OffloadMetric& metric : kOffloadMetrics) {
    head(out, metric.name, metric.help, "counter");
    fmt::format_to(std::back_inserter(out), "{} {}\n", metric.name, stats.*metric.count);
  }
  head(out, "gannet_offload_rules", "Rules of flows in force on the card", "gauge");
  fmt::format_to(std::back_inserter(out), "gannet_offload_rules {}\n", stats.rules);
}

// Not by name: libevent's own way would refuse 127.0.0.1 on a host that has no other address yet.
evconnlistener* listen_on(event_base* base, const SocketAddress& address) {
  constexpr unsigned kFlags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
  constexpr int kWaitingScrapers = 16;
  if (address.ip.is_v4()) {
    sockaddr_in socket{};
    socket.sin_family = AF_INET;
    socket.sin_port = htons(address.port);
    const Ip4 ip = address.ip.v4();
    std::memcpy(&socket.sin_addr, &ip, sizeof socket.sin_addr);
    return evconnlistener_new_bind(base, nullptr, nullptr, kFlags, kWaitingScrapers,
                                   reinterpret_cast<const sockaddr*>(&socket), sizeof socket);
  }
  sockaddr_in6 socket{};
  socket.sin6_family = AF_INET6;
  socket.sin6_port = htons(address.port);
  const Ip6 ip = address.ip.v6();
  std::memcpy(&socket.sin6_addr, &ip, sizeof socket.sin6_addr);
  return evconnlistener_new_bind(base, nullptr, nullptr, kFlags, kWaitingScrapers,
                                 reinterpret_cast<const sockaddr*>(&socket), sizeof socket);
}

}  // namespace

std::string metrics_text(Controller& controller) {
  std::string out;
  add_ports(out, controller);
  add_devices(out, controller);
  add_workers(out, controller);
  add_offload(out, controller);
  head(out, "gannet_policy_revision", "Policy revision in force", "gauge");
  fmt::format_to(std::back_inserter(out), "gannet_policy_revision {}\n",
                 controller.current().number);
  return out;
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::listen(event_base* base,
                                                             const SocketAddress& address,
                                                             Controller& controller) {
  evhttp* const http = evhttp_new(base);
  std::unique_ptr<MetricsServer> server(new MetricsServer(http, controller));
  evconnlistener* const listener = listen_on(base, address);
  if (listener == nullptr) {
    return fail(fmt::format("cannot listen on {}:{} for metrics: {}; choose another metrics.listen",
                            gannet::to_string(address.ip), address.port, std::strerror(errno)));
  }
  evhttp_bind_listener(http, listener);
  evhttp_set_allowed_methods(http, EVHTTP_REQ_GET);
  evhttp_set_cb(
      http, "/metrics",
      [](evhttp_request* request, void* self) {
        const std::string text = metrics_text(static_cast<MetricsServer*>(self)->controller_);
        evbuffer* const buffer = evbuffer_new();
        evbuffer_add(buffer, text.data(), text.size());
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                          "text/plain; version=0.0.4");
        evhttp_send_reply(request, 200, "OK", buffer);
        evbuffer_free(buffer);
      },
      server.get());
  return server;
}

MetricsServer::~MetricsServer() { evhttp_free(http_); }

}  // namespace gannet::control
