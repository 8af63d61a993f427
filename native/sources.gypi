{
  "variables": {
    "smoothloss_source_files": [
      "addon/addon.cc",
      "addon/call.cc",
      "addon/hold.cc",
      "addon/jobs.cc",
      "kernels/dispatch.cc",
      "kernels/kernels_avx2.cc",
      "kernels/kernels_avx512.cc",
      "kernels/kernels_neon.cc",
      "kernels/kernels_scalar.cc",
      "threads/batch_task.cc",
      "threads/layer_stages.cc",
      "threads/pool.cc"
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
