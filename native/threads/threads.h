// Threads, a mutex, a condition and a clock of the operating system. The standard library's would not do: std::thread
// throws if there is no thread, std::condition_variable of newer systems does not load on older ones, and what can
// throw adds 70 KB to each binary of the package.

#ifndef SMOOTHLOSS_THREADS_THREADS_H_
#define SMOOTHLOSS_THREADS_THREADS_H_

#include "simd/target.h"

#if defined(SMOOTHLOSS_X64)
#include <emmintrin.h>
#endif

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#endif

#if defined(__GLIBC__) && defined(__x86_64__)
#define SMOOTHLOSS_OLDEST_GLIBC "GLIBC_2.2.5"
#elif defined(__GLIBC__) && defined(__aarch64__)
#define SMOOTHLOSS_OLDEST_GLIBC "GLIBC_2.17"
#endif
// These moved from one of glibc's libraries to another and got a new version there. The old version is still in glibc;
// with it the binary loads wherever Node does.
#if defined(SMOOTHLOSS_OLDEST_GLIBC)
__asm__(".symver pthread_create,pthread_create@" SMOOTHLOSS_OLDEST_GLIBC);
__asm__(".symver pthread_mutex_trylock,pthread_mutex_trylock@" SMOOTHLOSS_OLDEST_GLIBC);
__asm__(".symver pthread_join,pthread_join@" SMOOTHLOSS_OLDEST_GLIBC);
__asm__(".symver pthread_sigmask,pthread_sigmask@" SMOOTHLOSS_OLDEST_GLIBC);
#endif

namespace smoothloss {

// Leaves the processor to its other hardware thread for a moment.
inline void pauseProcessor() {
#if defined(SMOOTHLOSS_X64)
  _mm_pause();
#elif defined(SMOOTHLOSS_ARM64) && !defined(_MSC_VER)
  __asm__ volatile("yield");
#endif
}

#if defined(_WIN32)

inline size_t onlineProcessors() { return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS); }

// The time by a clock that never goes back.
inline double microseconds() {
  LARGE_INTEGER ticks, perSecond;
  QueryPerformanceCounter(&ticks);
  QueryPerformanceFrequency(&perSecond);
  return static_cast<double>(ticks.QuadPart) * 1e6 / static_cast<double>(perSecond.QuadPart);
}

class Mutex {
 public:
  void lock() { AcquireSRWLockExclusive(&lock_); }  // tries for a while itself
  void unlock() { ReleaseSRWLockExclusive(&lock_); }

 private:
  friend class Condition;
  SRWLOCK lock_ = SRWLOCK_INIT;
};

class Condition {
 public:
  void wait(Mutex& mutex) { SleepConditionVariableSRW(&condition_, &mutex.lock_, INFINITE, 0); }
  void wakeOne() { WakeConditionVariable(&condition_); }
  void wakeAll() { WakeAllConditionVariable(&condition_); }

 private:
  CONDITION_VARIABLE condition_ = CONDITION_VARIABLE_INIT;
};

class Thread {
 public:
  // Returns false if there is no thread.
  bool start(void (*function)(void*), void* argument) {
    call_ = {function, argument};
    handle_ = _beginthreadex(
        nullptr, 0,
        [](void* call) {
          static_cast<Call*>(call)->function(static_cast<Call*>(call)->argument);
          return 0u;
        },
        &call_, 0, nullptr);
    return handle_ != 0;
  }
  void join() {
    WaitForSingleObject(reinterpret_cast<HANDLE>(handle_), INFINITE);
    CloseHandle(reinterpret_cast<HANDLE>(handle_));
  }

 private:
  struct Call {
    void (*function)(void*);
    void* argument;
  };
  Call call_ = {};
  uintptr_t handle_ = 0;
};

#else

inline size_t onlineProcessors() {
  const long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<size_t>(count) : 1;
}

// The time by a clock that never goes back.
inline double microseconds() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

class Mutex {
 public:
  // Work under a mutex takes less time here than sleeping and waking.
  void lock() {
    for (int i = 0; i < 200; ++i) {
      if (pthread_mutex_trylock(&mutex_) == 0) return;
      pauseProcessor();
    }
    pthread_mutex_lock(&mutex_);
  }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  friend class Condition;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

class Condition {
 public:
  void wait(Mutex& mutex) { pthread_cond_wait(&condition_, &mutex.mutex_); }
  void wakeOne() { pthread_cond_signal(&condition_); }
  void wakeAll() { pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

class Thread {
 public:
  // Returns false if there is no thread. Signals of the process go to other threads.
  bool start(void (*function)(void*), void* argument) {
    call_ = {function, argument};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(
        &thread_, nullptr,
        [](void* call) -> void* {
          static_cast<Call*>(call)->function(static_cast<Call*>(call)->argument);
          return nullptr;
        },
        &call_);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return failed == 0;
  }
  void join() { pthread_join(thread_, nullptr); }

 private:
  struct Call {
    void (*function)(void*);
    void* argument;
  };
  Call call_ = {};
  pthread_t thread_ = {};
};

#endif

// Holds a mutex for its own lifetime.
class Lock {
 public:
  explicit Lock(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_THREADS_H_
