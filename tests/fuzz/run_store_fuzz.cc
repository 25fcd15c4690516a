// SPDX-License-Identifier: Apache-2.0
// The run's database: any bytes are a run that can be reported, or BadInput. An input that starts
// with "R" is what a worker sends, "I" and "S" are packed inferences and steps; else the file.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "results/report/report.h"
#include "results/store/run_store.h"
#include "results/trace/record_codec.h"
#include "tests/fuzz/scratch_file.h"

namespace kvla {
namespace {

void ReadRun(const std::filesystem::path& folder) {
  const Result<RunStore> store = RunStore::Open(folder, RunStore::Mode::kReadOnly);
  if (!store.ok()) return;
  const auto rows = store->Episodes();
  if (rows.ok()) {
    for (const EpisodeRow& row : *rows) (void)store->Episode(row.id);
  }
  const Result<Report> report = BuildReport(*store);
  if (report.ok()) {
    (void)FormatTable(*report);
    (void)ReportJson(*report, true).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
}

}  // namespace
}  // namespace kvla

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const kvla::FuzzFolder folder;
  const std::span<const uint8_t> bytes(data, size);
  if (size > 0 && data[0] == 'R') {
    (void)kvla::RecordFromCbor(bytes.subspan(1));
  } else if (size > 0 && data[0] == 'I') {
    const auto events = kvla::UnpackInferences(bytes.subspan(1));
    // What was read is written as it was read.
    if (events.ok()) {
      const auto packed = kvla::PackInferences(*events, kvla::TraceLevel::kFull);
      const auto again = kvla::UnpackInferences(packed);
      if (!again.ok() || kvla::PackInferences(*again, kvla::TraceLevel::kFull) != packed) abort();
    }
  } else if (size > 0 && data[0] == 'S') {
    const auto steps = kvla::UnpackSteps(bytes.subspan(1));
    if (steps.ok()) (void)kvla::PackSteps(*steps, kvla::TraceLevel::kFull);
  } else {
    folder.Clear();
    folder.Write(kvla::kRunFile, data, size);
    kvla::ReadRun(folder.path());
  }
  return 0;
}
