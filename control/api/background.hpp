// SPDX-License-Identifier: BSD-3-Clause
// Work for the API that takes long and touches nothing of the control thread's: done by a thread of
// its own, so that meanwhile other requests are answered and backends are probed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

struct event;
struct event_base;

namespace gannet::control {

/// Control thread, but for the jobs.
class Background {
 public:
  /// What the control thread does with the result of a job.
  using Then = std::function<void()>;
  /// Reads nothing that the control thread may change.
  using Job = std::function<Then()>;
  // Each may hold a body of the largest size.
  static constexpr std::size_t kMaxJobs = 16;

  explicit Background(event_base* base);
  /// Waits for the job that is being done; the others are dropped.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Does a job when those before it are done, then what it returns, in the same order.
  /// \return false if there are too many: nothing happens.
  [[nodiscard]] bool run(Job job);

 private:
  void work();
  void finish_jobs();

  int done_fd_;
  event* done_event_;
  std::size_t open_count_ = 0;  // Not finished yet.
  std::mutex mutex_;            // Of what follows.
  std::condition_variable wake_;
  std::deque<Job> waiting_;
  std::deque<Then> done_;
  bool is_over_ = false;
  std::thread thread_;  // From the first job on.
};

}  // namespace gannet::control
