// Numbers as the reports' JSON has them: what there is no data for is null.
#ifndef KVLA_RESULTS_JSON_VALUES_H_
#define KVLA_RESULTS_JSON_VALUES_H_

#include <cmath>
#include <nlohmann/json.hpp>

#include "results/statistics.h"

namespace kvla {

inline nlohmann::json JsonNumber(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

inline nlohmann::json JsonInterval(const Interval& i) {
  return {{"value", JsonNumber(i.value)}, {"low", JsonNumber(i.low)}, {"high", JsonNumber(i.high)}};
}

inline nlohmann::json JsonRate(const Interval& i) {
  return {{"rate", JsonNumber(i.value)}, {"low", JsonNumber(i.low)}, {"high", JsonNumber(i.high)}};
}

}  // namespace kvla

#endif  // KVLA_RESULTS_JSON_VALUES_H_
