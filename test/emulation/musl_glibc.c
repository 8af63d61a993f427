// What Debian's libstdc++ and libgcc ask of glibc, for a program that has musl: Bun's build for it. As a library it stands
// where they look for glibc's loader.

#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded = 0;
unsigned __cpu_model[4];
int __cpu_indicator_init(void) { return 0; }

uint32_t arc4random(void) {
  uint32_t bits;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) abort();
  return bits;
}

size_t __strftime_l(char* text, size_t size, const char* format, const struct tm* time, locale_t locale) {
  return strftime_l(text, size, format, time, locale);
}

// Nothing is destroyed when a thread ends.
int __cxa_thread_atexit_impl(void (*function)(void*), void* object, void* library) {
  (void)function;
  (void)object;
  (void)library;
  return 0;
}

// Not found: then the unwinder asks dl_iterate_phdr.
int _dl_find_object(void* address, void* result) {
  (void)address;
  (void)result;
  return -1;
}
