{
  "variables": {
    "smoothloss_sources": [
      "native/addon.cc",
      "native/batch_task.cc",
      "native/call.cc",
      "native/dispatch.cc",
      "native/hold.cc",
      "native/jobs.cc",
      "native/kernels_avx2.cc",
      "native/kernels_avx512.cc",
      "native/kernels_neon.cc",
      "native/kernels_scalar.cc",
      "native/pool.cc"
    ],
    "smoothloss_defines": [
      "NAPI_VERSION=8",
      "NAPI_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED"
    ],
    "smoothloss_cflags": [
      "-std=c++17",
      "-O3",
      "-ffp-contract=off",
      "-fvisibility=hidden",
      "-fno-exceptions",
      "-fno-rtti",
      "-Wall",
      "-Wextra",
      "-Wshadow",
      "-Wconversion"
    ],
    "smoothloss_msvc_flags": [
      "/std:c++17",
      "/O2",
      "/fp:precise",
      "/W4"
    ]
  }
}
