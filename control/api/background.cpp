// SPDX-License-Identifier: BSD-3-Clause
#include "control/api/background.hpp"

#include "flows/base/check.hpp"

#include <csignal>
#include <cstdint>
#include <utility>

#include <event2/event.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace gannet::control {

Background::Background(event_base* base)
    : done_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      done_event_(event_new(
          base, done_fd_, EV_READ | EV_PERSIST,
          [](evutil_socket_t, short, void* self) { static_cast<Background*>(self)->finish_jobs(); },
          this)) {
  GANNET_CHECK(done_fd_ >= 0 && done_event_ != nullptr);
  event_add(done_event_, nullptr);
}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  event_free(done_event_);
  close(done_fd_);
}

bool Background::run(Job job) {
  if (open_count_ == kMaxJobs) return false;
  ++open_count_;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  wake_.notify_one();
  if (thread_.joinable()) return true;
  // Signals are the control thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return true;
}

void Background::work() {
  pthread_setname_np(pthread_self(), "background");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return is_over_ || !waiting_.empty(); });
    if (is_over_) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    Then then = job();
    job = nullptr;  // What it holds may take long to free.
    lock.lock();
    done_.push_back(std::move(then));
    const std::uint64_t one = 1;
    GANNET_CHECK(write(done_fd_, &one, sizeof one) == sizeof one);
  }
}

void Background::finish_jobs() {
  std::uint64_t count = 0;
  if (read(done_fd_, &count, sizeof count) != sizeof count) return;
  std::deque<Then> done;
  {
    const std::lock_guard lock(mutex_);
    done.swap(done_);
  }
  for (const Then& then : done) {
    --open_count_;
    then();
  }
}

}  // namespace gannet::control
