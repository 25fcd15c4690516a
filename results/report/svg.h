// SPDX-License-Identifier: Apache-2.0
// Pieces of an SVG file. No torch.
#ifndef KVLA_RESULTS_REPORT_SVG_H_
#define KVLA_RESULTS_REPORT_SVG_H_

#include <string>

namespace kvla {

// The beginning of a file of that many pixels: the element, its font, a white ground. Ends with
// "</svg>\n".
std::string SvgBegin(double width, double height);
// `more`: further attributes. The text may hold anything.
std::string SvgText(double x, double y, const std::string& text, const std::string& more = "");

}  // namespace kvla

#endif  // KVLA_RESULTS_REPORT_SVG_H_
