// SPDX-License-Identifier: Apache-2.0
#include "policy/compact/training/train_state.h"

#include <fmt/format.h>

#include <string>

#include "base/files.h"
#include "base/temporary_file.h"
#include "base/text.h"

namespace kvla {
namespace {

namespace fs = std::filesystem;

constexpr char kStateFile[] = "train_state.pt";

}  // namespace

WeightAverage::WeightAverage(VlaNet& net, double decay) : decay_(decay) {
  for (const torch::Tensor& p : net->parameters()) average_.push_back(p.detach().clone());
}

void WeightAverage::Update(VlaNet& net) {
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> parameters = net->parameters();
  for (size_t i = 0; i < average_.size(); ++i) {
    average_[i].lerp_(parameters[i].detach(), 1.0 - decay_);
  }
}

void WeightAverage::Swap(VlaNet& net) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parameters = net->parameters();
  for (size_t i = 0; i < average_.size(); ++i) {
    const torch::Tensor kept = parameters[i].detach().clone();
    parameters[i].copy_(average_[i]);
    average_[i].copy_(kept);
  }
}

Status SaveTrainState(const fs::path& folder, int step, VlaNet& net, WeightAverage& average,
                      torch::optim::Optimizer& optimizer) {
  try {
    fs::create_directories(folder);  // what it throws is caught below
    torch::serialize::OutputArchive archive, weights, moments;
    net->save(weights);
    optimizer.save(moments);
    archive.write("net", weights);
    archive.write("optimizer", moments);
    archive.write("step", torch::tensor(step));
    for (size_t i = 0; i < average.tensors().size(); ++i) {
      archive.write(fmt::format("average{}", i), average.tensors()[i]);
    }
    Result<TemporaryFile> file = TemporaryFile::Beside(folder / kStateFile);
    if (!file.ok()) return file.status();
    archive.save_to(file->path().string());
    return file->Keep();
  } catch (const std::exception& e) {
    return IoError(
        fmt::format("{}: the training state could not be written: {}", folder.string(), e.what()));
  }
}

bool HasTrainState(const fs::path& folder) { return Exists(folder / kStateFile); }

Result<int> LoadTrainState(const fs::path& folder, VlaNet& net, WeightAverage& average,
                           torch::optim::Optimizer& optimizer) {
  const fs::path path = folder / kStateFile;
  if (!HasTrainState(folder)) return 0;
  try {
    torch::serialize::InputArchive archive, weights, moments;
    archive.load_from(path.string());
    archive.read("net", weights);
    std::vector<std::vector<int64_t>> sizes;
    for (const torch::Tensor& p : net->parameters()) sizes.push_back(p.sizes().vec());
    net->load(weights);
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (net->parameters()[i].sizes() == torch::IntArrayRef(sizes[i])) continue;
      return BadInput(fmt::format(
          "{}: the state of a policy of another size; remove it to start again", path.string()));
    }
    archive.read("optimizer", moments);
    optimizer.load(moments);
    for (size_t i = 0; i < average.tensors().size(); ++i) {
      archive.read(fmt::format("average{}", i), average.tensors()[i]);
    }
    torch::Tensor step;
    archive.read("step", step);
    return step.item<int>();
  } catch (const std::exception& e) {
    return BadInput(
        fmt::format("{}: this training state cannot be resumed ({}); remove it to start again",
                    path.string(), CutText(e.what(), 200)));
  }
}

}  // namespace kvla
