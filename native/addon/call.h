// A call as lib/native.ts makes it: the arena, and arrays.

#ifndef SMOOTHLOSS_ADDON_CALL_H_
#define SMOOTHLOSS_ADDON_CALL_H_

#include <node_api.h>

#include <cstddef>

#include "kernels/kernels.h"

namespace smoothloss {

// The arena and the arrays.
constexpr size_t kCallArguments = 25;

struct Call {
  Batch batch;
  Loss loss;
  size_t threads;
  size_t begin;
  size_t end;
  unsigned char* arena;
};

// Reads a call, and checks what memory safety needs. Returns false, with an error thrown, if a check fails.
bool readCall(napi_env env, const napi_value* arguments, size_t count, Call* call);

// Writes the sums to the arena, where the caller reads them.
void writeSums(const Call& call, const Sums& sums);

// Throws an Error. Returns null, for callbacks to return.
napi_value fail(napi_env env, const char* message, const char* code = "ERR_INTERNAL_ASSERTION");

}  // namespace smoothloss

#endif  // SMOOTHLOSS_ADDON_CALL_H_
