// SPDX-License-Identifier: Apache-2.0
// An analysis for people, for programs, and as a picture.
#ifndef KVLA_HARNESS_ANALYZE_ANALYSIS_REPORT_H_
#define KVLA_HARNESS_ANALYZE_ANALYSIS_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "harness/analyze/analysis.h"

namespace kvla {

// Tables: the caches beside each other, errors by layer, chunks.
std::string FormatAnalysis(const Analysis& analysis);

// One object; errors that are infinite are null (docs/analyze.md).
nlohmann::json AnalysisJson(const Analysis& analysis);

// A whole SVG file: errors and bytes by block, scores and tokens held by chunk.
std::string AnalysisSvg(const Analysis& analysis, const std::string& title);

}  // namespace kvla

#endif  // KVLA_HARNESS_ANALYZE_ANALYSIS_REPORT_H_
