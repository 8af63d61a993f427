// The platforms whose binary the package has; SHIPPED in lib/host/process.ts is the same list. For each the cross compiler's
// name of it, with the oldest C library or system that the binary runs on, and the file below prebuilds/, by the name that
// node-gyp-build looks for.
//
// The kernels for linux-x64 are compiled by g++, since those of clang 21 took up to 18 % longer there (Zen 5: bceWithLogits
// 18 % and 64 x 10 12 % with AVX-512, float64 13 % with AVX2; others 6 % less to 9 % more). They are half as large again,
// though, which the others are spared.

export const PLATFORMS = {
  'linux-x64': { target: 'x86_64-linux-gnu.2.17', file: 'linux-x64/smoothloss.glibc.node', kernels: 'g++' },
  'linux-x64-musl': { target: 'x86_64-linux-musl', file: 'linux-x64/smoothloss.musl.node' },
  'linux-arm64': { target: 'aarch64-linux-gnu.2.17', file: 'linux-arm64/smoothloss.glibc.node' },
  'linux-arm64-musl': { target: 'aarch64-linux-musl', file: 'linux-arm64/smoothloss.musl.node' },
  'darwin-x64': { target: 'x86_64-macos.11.0', file: 'darwin-x64/smoothloss.node' },
  'darwin-arm64': { target: 'aarch64-macos.11.0', file: 'darwin-arm64/smoothloss.node' },
  'win32-x64': { target: 'x86_64-windows-gnu', file: 'win32-x64/smoothloss.node' },
  'win32-arm64': { target: 'aarch64-windows-gnu', file: 'win32-arm64/smoothloss.node' },
};
