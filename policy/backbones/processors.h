// SPDX-License-Identifier: Apache-2.0
// What LeRobot does before and after a policy, as its files say: statistics and prompts. torch.
#ifndef KVLA_POLICY_BACKBONES_PROCESSORS_H_
#define KVLA_POLICY_BACKBONES_PROCESSORS_H_

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/status.h"

namespace kvla {

// LeRobot's NormalizationMode.
enum class NormMode { kIdentity, kMeanStd, kMinMax, kQuantiles, kQuantile10 };

// (x - centre) / spread and back; MIN_MAX and quantiles map [low, high] to [-1, 1].
class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // `statistics`: by their names ("mean", "std"), f32 [n]. BadInput: one that `mode` needs is
  // missing or not of `size` finite numbers.
  static Result<Normalizer> Create(NormMode mode, int size, double epsilon,
                                   const std::map<std::string, at::Tensor>& statistics);

  // x [..., n] f32.
  at::Tensor Normalize(const at::Tensor& x) const;
  at::Tensor Unnormalize(const at::Tensor& x) const;

 private:
  NormMode mode_ = NormMode::kIdentity;
  double epsilon_ = 0;
  at::Tensor low_, high_;  // mean and std under kMeanStd
};

// One of a pipeline's steps that holds statistics.
struct NormalizerStep {
  double epsilon = 1e-8;
  std::map<std::string, int> sizes;       // of vectors, by the feature's name
  std::map<std::string, NormMode> modes;  // of all features
  std::string state_file;                 // beside the JSON; empty: none
};

struct ProcessorFile {
  NormalizerStep normalizer;
  std::map<std::string, std::string> renamed;  // observations: the robot's name -> the policy's
  bool newline = false;                        // a prompt ends in one
  int max_prompt = 0;                          // tokens; 0: no prompt
};

// `text` is policy_preprocessor.json or policy_postprocessor.json. BadInput names a step that is
// not known here, or what one lacks.
Result<ProcessorFile> ParseProcessorFile(const std::string& text);

struct Processors {
  Normalizer state;   // normalises
  Normalizer action;  // takes back
  ProcessorFile before;
};

// Of a checkpoint's folder, for a state and an action of so many numbers. BadInput: a file is
// missing (older checkpoints: with the way to migrate), or says something else of a feature.
Result<Processors> LoadProcessors(const std::filesystem::path& folder, int state, int action);

}  // namespace kvla

#endif  // KVLA_POLICY_BACKBONES_PROCESSORS_H_
