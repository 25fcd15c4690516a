// SPDX-License-Identifier: Apache-2.0
// YAML configs: any bytes are a config or BadInput, and a config prints as one that is the same.
// A zero byte ends the file; what follows, up to the next, is a --set.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/config_io.h"
#include "harness/demos/demo_config.h"
#include "harness/eval/run_config.h"

namespace kvla {
namespace {

template <class T>
void Try(const std::string& text, const std::string& override_text) {
  Result<ConfigNode> root = ParseYaml(text, "fuzz.yaml");
  if (!root.ok() || !ExpandLists(&*root).ok()) return;
  T config;
  if (!ParseConfig(*root, &config).ok()) return;
  const std::string printed = PrintConfig(config);
  const Result<ConfigNode> again = ParseYaml(printed, "printed");
  T same;
  if (!again.ok() || !ParseConfig(*again, &same).ok() || PrintConfig(same) != printed) abort();
  if (!override_text.empty()) (void)OverrideConfig({override_text}, &config);
}

}  // namespace
}  // namespace kvla

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = bytes.find('\0');
  std::string override_text;
  if (end != std::string::npos) override_text = bytes.substr(end + 1);
  kvla::Try<kvla::RunConfig>(bytes.substr(0, end), override_text);
  kvla::Try<kvla::DemosConfig>(bytes.substr(0, end), override_text);
  return 0;
}
