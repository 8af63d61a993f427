// The functions of Node-API for Windows, where a binary cannot leave them open: each jumps to the function of that name in
// the program that loads it (node.exe, bun.exe, electron.exe), or in the library that this program has Node from. If one is
// missing, the binary does not load.

/** Source text in C++ that defines the functions. */
export function nodeFunctions(names, arch) {
  const jump =
    arch === 'x64'
      ? (name) => `jmp *smoothloss_${name}(%rip)`
      : (name) => `adrp x16, smoothloss_${name}\\n ldr x16, [x16, :lo12:smoothloss_${name}]\\n br x16`;
  return `#include <windows.h>
extern "C" {
${names.map((name) => `FARPROC smoothloss_${name};`).join('\n')}
}
${names.map((name) => `__asm__(".text\\n.globl ${name}\\n.p2align 4\\n${name}:\\n ${jump(name)}\\n");`).join('\n')}
static const struct {
  const char* name;
  FARPROC* function;
} kFunctions[] = {
${names.map((name) => `    {"${name}", &smoothloss_${name}},`).join('\n')}
};
BOOL WINAPI DllMain(HINSTANCE, DWORD reason, LPVOID) {
  if (reason != DLL_PROCESS_ATTACH) return TRUE;
  const HMODULE hosts[] = {GetModuleHandleW(nullptr), GetModuleHandleW(L"libnode.dll"), GetModuleHandleW(L"node.dll")};
  for (const auto& each : kFunctions) {
    for (const HMODULE host : hosts) {
      if (*each.function == nullptr && host) *each.function = GetProcAddress(host, each.name);
    }
    if (*each.function == nullptr) return FALSE;
  }
  return TRUE;
}
`;
}
