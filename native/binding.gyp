# The addon from the sources in the package, where no binary came with it:
#
#     npx node-gyp rebuild -C node_modules/smoothloss/native
#
# It ends up where the loader looks first, build/Release of the package. The package has no binding.gyp of its own: npm and
# Yarn would compile at every install.
{
  "includes": ["addon.gypi"],
  "targets": [
    {
      "target_name": "package",
      "type": "none",
      "dependencies": ["smoothloss"],
      "copies": [
        {
          "files": ["<(PRODUCT_DIR)/smoothloss.node"],
          "destination": "<(module_root_dir)/../build/Release"
        }
      ]
    }
  ]
}
