{
  "includes": ["sources.gypi"],
  "targets": [
    {
      "target_name": "smoothloss",
      "variables": {
        "system_include": "-isystem<!(node -p \"path.resolve(require('node-addon-api').include_dir)\")"
      },
      "sources": ["<@(smoothloss_source_files)"],
      "include_dirs": [".", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["<@(smoothloss_defines)"],
      "cflags_cc": ["<@(smoothloss_cflags)", "<(system_include)"],
      "xcode_settings": {
        "OTHER_CPLUSPLUSFLAGS": ["<@(smoothloss_cflags)", "<(system_include)"],
        "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
        "GCC_ENABLE_CPP_RTTI": "NO",
        "MACOSX_DEPLOYMENT_TARGET": "11.0"
      },
      "msvs_settings": {
        "VCCLCompilerTool": {"AdditionalOptions": ["<@(smoothloss_msvc_flags)"]}
      }
    }
  ]
}
