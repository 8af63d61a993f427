{
  "includes": ["native/addon.gypi"]
}
