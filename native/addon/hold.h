// Memory of arrays that stays while a call computes in another thread, though the caller's code detaches it
// (structuredClone, postMessage, transfer) and drops it or what it became. Node-API cannot do this; V8 counts the
// owners of such memory in a std::shared_ptr, which this takes a part in, by names that have not changed since Node 20.
// It is the runtime's std::shared_ptr, of another standard library perhaps than this binary's: so this counts itself.

#ifndef SMOOTHLOSS_ADDON_HOLD_H_
#define SMOOTHLOSS_ADDON_HOLD_H_

#include <node_api.h>

#include <cstddef>

#include "addon/call.h"

namespace smoothloss {

struct Counter;

class Hold {
 public:
  // Whether this runtime has what that takes, and it works: found out by trying.
  static bool works(napi_env env);

  Hold() = default;
  Hold(Hold&& other) noexcept;
  ~Hold();

  // Takes hold of a typed array's memory, where that works. False if it cannot be held: a resizable ArrayBuffer gives
  // it back when it shrinks, whoever owns it. (A SharedArrayBuffer only grows.)
  bool add(napi_env env, napi_value array);

 private:
  static constexpr size_t kMost = kCallArguments - 1;  // all but the arena
  Counter* counters_[kMost];
  size_t count_ = 0;
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_ADDON_HOLD_H_
