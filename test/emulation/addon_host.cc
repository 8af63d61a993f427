// Runs the addon without Node, for where an emulator runs it: an emulated Node takes some fifteen times as long, mostly
// for JavaScript that needs no emulation. Loads the addon whose file is the argument, and answers the calls of compute
// that hosted-addon.ts writes to its standard input. Of Node-API it has what compute needs.
//
// The memory of every argument ends where a page ends or begins where one begins, and the pages around it may not be
// touched. So an access out of bounds ends the program, those of masked loads too, which AddressSanitizer does not see.

#include <dlfcn.h>
#include <node_api.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

// How a value is passed; as in hosted-addon.ts.
struct Header {
  uint32_t type;   // a napi_typedarray_type, or one of those below
  uint32_t bytes;  // what follows the headers
  uint32_t of;     // the argument whose memory it has; its own number as a rule
  uint32_t shift;  // bytes between the start of its memory and a cache line
};
constexpr uint32_t kNone = 100, kArrayBuffer = 101;

// One for each argument: pages to read and write, between one before and one after that cannot be touched.
struct Region {
  unsigned char* begin = nullptr;
  size_t capacity = 0;

  unsigned char* end() const { return begin + capacity; }
  bool reserve(size_t bytes) {
    if (bytes <= capacity && begin != nullptr) return true;
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    if (begin != nullptr) munmap(begin - page, capacity + 2 * page);
    capacity = (2 * bytes / page + 1) * page;
    auto* all =
        static_cast<unsigned char*>(mmap(nullptr, capacity + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    begin = all + page;
    return all != MAP_FAILED && mprotect(begin, capacity, PROT_READ | PROT_WRITE) == 0;
  }
};

struct Value {
  Header header;
  unsigned char* data;
};

constexpr size_t kMost = 32;
constexpr size_t kElementBytes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
Region regions[kMost];
Value values[kMost];
size_t count;

napi_callback compute;
void* computeData;
void* instanceData;
std::string backends, thrown;

[[noreturn]] void die(const char* what) {
  perror(what);
  _exit(1);
}

void readAll(void* to, size_t bytes) {
  for (auto* at = static_cast<char*>(to); bytes > 0;) {
    const ssize_t n = read(STDIN_FILENO, at, bytes);
    if (n == 0) _exit(0);
    if (n < 0) die("read");
    at += n;
    bytes -= static_cast<size_t>(n);
  }
}

void writeAll(const void* from, size_t bytes) {
  for (auto* at = static_cast<const char*>(from); bytes > 0;) {
    const ssize_t n = write(STDOUT_FILENO, at, bytes);
    if (n < 0) die("write");
    at += n;
    bytes -= static_cast<size_t>(n);
  }
}

// An answer that is an error.
void writeError(const std::string& text) {
  const uint32_t words[] = {1, static_cast<uint32_t>(text.size())};
  writeAll(words, sizeof words);
  writeAll(text.data(), text.size());
}

// Says which argument an address lies beside, as the answer to the call.
void onFault(int number, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<intptr_t>(info->si_addr);
  std::string text = std::string("ERR_FAULT ") + strsignal(number);
  for (size_t i = 0; i < count; ++i) {
    const auto before = reinterpret_cast<intptr_t>(values[i].data) - address;
    const auto after = -before - static_cast<intptr_t>(values[i].header.bytes);
    if (values[i].data == nullptr || before > 4096 || after > 4096) continue;
    text += " at " + std::to_string(before > 0 ? before : after) + " bytes " + (before > 0 ? "before" : "after") +
            " argument " + std::to_string(i) + " of " + std::to_string(values[i].header.bytes) + " bytes";
    break;
  }
  writeError(text);
  _exit(1);
}

Value* valueOf(napi_value value) { return reinterpret_cast<Value*>(value); }
napi_value anyValue() { return reinterpret_cast<napi_value>(&values[0]); }

// Reads one call, and puts its memory in place.
void readCall() {
  static std::vector<unsigned char> memory;
  static uint32_t random = 1;
  uint32_t words[2];
  readAll(words, sizeof words);
  count = words[0];
  if (count > kMost) die("too many arguments");
  Header headers[kMost];
  readAll(headers, count * sizeof(Header));
  memory.resize(words[1]);
  readAll(memory.data(), words[1]);
  const unsigned char* from = memory.data();
  for (size_t i = 0; i < count; ++i) {
    const Header& header = headers[i];
    values[i] = {header, nullptr};
    if (header.type == kNone) continue;
    if (header.of != i) {
      values[i].data = values[header.of].data;
      continue;
    }
    if (!regions[i].reserve(header.bytes + 64)) die("mmap");
    random = random * 1664525 + 1013904223;
    const size_t tail = header.type == kArrayBuffer ? header.bytes % 8 : 0;  // an arena is aligned
    const bool atEnd = (random >> 30) != 0;
    values[i].data =
        atEnd ? regions[i].end() - header.bytes - (tail == 0 ? 0 : 8 - tail) : regions[i].begin + header.shift;
    std::memcpy(values[i].data, from, header.bytes);
    from += header.bytes;
  }
  napi_value none = nullptr;
  thrown.clear();
  compute(reinterpret_cast<napi_env>(&none), reinterpret_cast<napi_callback_info>(&none));
  if (!thrown.empty()) return writeError(thrown);

  // The answer: which arguments have changed, and their memory.
  uint32_t answer[1 + kMost] = {0};
  from = memory.data();
  for (size_t i = 0; i < count; ++i) {
    if (headers[i].type == kNone || headers[i].of != i) continue;
    answer[1 + i] = std::memcmp(values[i].data, from, headers[i].bytes) != 0 ? 1 : 0;
    from += headers[i].bytes;
  }
  writeAll(answer, (1 + count) * sizeof answer[0]);
  for (size_t i = 0; i < count; ++i) {
    if (answer[1 + i] != 0) writeAll(values[i].data, headers[i].bytes);
  }
}

}  // namespace

// Node-API, of which the addon is the only user, so that most arguments need no look.
extern "C" {

napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t* argc, napi_value* argv, napi_value*, void** data) {
  const size_t room = *argc;
  for (size_t i = 0; i < room; ++i) argv[i] = i < count ? reinterpret_cast<napi_value>(&values[i]) : nullptr;
  *argc = count;
  *data = computeData;
  return napi_ok;
}
napi_status napi_is_arraybuffer(napi_env, napi_value value, bool* result) {
  *result = valueOf(value)->header.type == kArrayBuffer;
  return napi_ok;
}
napi_status napi_get_arraybuffer_info(napi_env, napi_value value, void** data, size_t* bytes) {
  *data = valueOf(value)->data;
  *bytes = valueOf(value)->header.bytes;
  return napi_ok;
}
napi_status napi_get_typedarray_info(napi_env, napi_value value, napi_typedarray_type* type, size_t* length,
                                     void** data, napi_value*, size_t*) {
  const auto& [header, memory] = *valueOf(value);
  if (header.type >= sizeof kElementBytes / sizeof kElementBytes[0]) return napi_invalid_arg;
  *type = static_cast<napi_typedarray_type>(header.type);
  *length = header.bytes / kElementBytes[header.type];
  *data = memory;
  return napi_ok;
}
napi_status napi_throw_error(napi_env, const char* code, const char* message) {
  thrown = std::string(code) + " " + message;
  return napi_ok;
}

// While it is loaded: the names of its backends are the only strings, compute is the function that counts.
napi_status napi_set_instance_data(napi_env, void* data, napi_finalize, void*) {
  instanceData = data;
  return napi_ok;
}
napi_status napi_add_env_cleanup_hook(napi_env, void (*)(void*), void*) { return napi_ok; }
napi_status napi_create_array(napi_env, napi_value* result) { return *result = anyValue(), napi_ok; }
napi_status napi_get_boolean(napi_env, bool, napi_value* result) { return *result = anyValue(), napi_ok; }
napi_status napi_create_string_utf8(napi_env, const char* text, size_t, napi_value* result) {
  backends += std::string(text) + " ";
  return *result = anyValue(), napi_ok;
}
napi_status napi_set_element(napi_env, napi_value, uint32_t, napi_value) { return napi_ok; }
napi_status napi_set_named_property(napi_env, napi_value, const char*, napi_value) { return napi_ok; }
napi_status napi_create_function(napi_env, const char* name, size_t, napi_callback callback, void* data,
                                 napi_value* result) {
  if (std::strcmp(name, "compute") == 0) {
    compute = callback;
    computeData = data;
  }
  return *result = anyValue(), napi_ok;
}

}  // extern "C"

int main(int argc, char** argv) {
  void* addon = dlopen(argc > 1 ? argv[1] : "", RTLD_LAZY);
  using Register = napi_value (*)(napi_env, napi_value);
  const auto registerModule =
      addon == nullptr ? nullptr : reinterpret_cast<Register>(dlsym(addon, "napi_register_module_v1"));
  if (registerModule == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  struct sigaction action = {};
  action.sa_sigaction = onFault;
  action.sa_flags = SA_SIGINFO;
  for (const int number : {SIGSEGV, SIGBUS, SIGILL}) sigaction(number, &action, nullptr);

  napi_value env = nullptr;
  registerModule(reinterpret_cast<napi_env>(&env), anyValue());
  if (compute == nullptr) return 1;
  writeError(backends);
  for (;;) readCall();
}
