// SPDX-License-Identifier: Apache-2.0
#include "policy/probe_net.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/rng.h"
#include "policy/compact/net/image_encoder.h"
#include "policy/compact/net/shapes.h"
#include "tensors/torch.h"

namespace kvla {
namespace {

constexpr int kTokens = 2;
constexpr int kTokenWidth = 32;
constexpr int kHidden = 64;
constexpr double kWeightDecay = 0.01;
constexpr double kLeastSpread = 1e-3;  // of a proprioceptive value that hardly varies
constexpr int64_t kAtOnce = 64;
// The proprioception's network is small: passes and learning rate beside the images'.
constexpr int kProprioPasses = 10;
constexpr double kProprioRate = 3;

// Of several frames' network, which sees many times as many images.
constexpr int kFrameChannels[] = {16, 32};
constexpr int kFrameFeatures = 32;
constexpr double kWindowRate = 3;  // learning rate and batches beside the single frame's
constexpr int kWindowBatches = 4;

struct Samples {
  std::vector<torch::Tensor> images;  // per camera [n, frames, size, size, 3], uint8
  torch::Tensor proprio, label;       // [n, frames, 7], [n]
};

Samples Stack(const std::vector<ProbeSample>& samples, int size) {
  const auto n = static_cast<int64_t>(samples.size());
  const auto frames = static_cast<int64_t>(samples.front().proprio.size());
  Samples out;
  out.proprio = torch::empty({n, frames, kProprioDim});
  out.label = torch::empty({n}, torch::kInt64);
  for (size_t c = 0; c < samples.front().images.size(); ++c) {
    torch::Tensor images = torch::empty({n, frames, size, size, 3}, torch::kUInt8);
    for (int64_t i = 0; i < n; ++i) {
      const std::vector<uint8_t>& image = samples[i].images[c];
      std::copy(image.begin(), image.end(), images[i].data_ptr<uint8_t>());
    }
    out.images.push_back(images);
  }
  for (int64_t i = 0; i < n; ++i) {
    float* values = out.proprio[i].data_ptr<float>();
    for (const auto& frame : samples[i].proprio) values = std::ranges::copy(frame, values).out;
    out.label.data_ptr<int64_t>()[i] = samples[i].label;
  }
  return out;
}

torch::Tensor Rows(int64_t begin, int64_t end) { return torch::arange(begin, end); }

// One camera's frames, in [-0.5, 0.5]: [rows * frames, 3, size, size].
torch::Tensor Frames(const Samples& samples, size_t camera, const torch::Tensor& rows) {
  return samples.images[camera]
      .index_select(0, rows)
      .flatten(0, 1)
      .permute({0, 3, 1, 2})
      .contiguous()
      .to(torch::kFloat32)
      .mul_(1.0 / 255.0)
      .sub_(0.5);
}

// What a head reads of [rows, frames, features].
torch::Tensor Pooled(const torch::Tensor& features) {
  return features.size(1) == 1 ? features.squeeze(1)
                               : torch::cat({features.mean(1), features.amax(1)}, 1);
}

// What the cameras show in a single frame: logits [rows, classes].
class ImageNetImpl : public torch::nn::Module {
 public:
  ImageNetImpl(int cameras, int image_size, int classes) {
    for (int c = 0; c < cameras; ++c) {
      encoders_.push_back(register_module(fmt::format("camera{}", c),
                                          ImageEncoder(image_size, kTokens, kTokenWidth)));
    }
    head_ = register_module("head", torch::nn::Linear(cameras * kTokens * kTokenWidth, classes));
  }

  torch::Tensor forward(const Samples& samples, const torch::Tensor& rows) {
    std::vector<torch::Tensor> parts;
    for (size_t c = 0; c < encoders_.size(); ++c) {
      parts.push_back(encoders_[c]->forward(Frames(samples, c, rows)).flatten(1));
    }
    return head_->forward(torch::cat(parts, 1));
  }

 private:
  std::vector<ImageEncoder> encoders_;
  torch::nn::Linear head_{nullptr};
};
TORCH_MODULE(ImageNet);

// The same of several frames.
class WindowNetImpl : public torch::nn::Module {
 public:
  WindowNetImpl(int cameras, int image_size, int classes) {
    const int64_t side = image_size / kTrunkStride;
    for (int c = 0; c < cameras; ++c) {
      encoders_.push_back(register_module(
          fmt::format("camera{}", c),
          torch::nn::Sequential(
              torch::nn::Conv2d(torch::nn::Conv2dOptions(3, kFrameChannels[0], kPatch)
                                    .stride(kPatchStride)
                                    .padding(kPatchPadding)),
              ChannelNorm(kFrameChannels[0]), torch::nn::SiLU(),
              torch::nn::Conv2d(torch::nn::Conv2dOptions(kFrameChannels[0], kFrameChannels[1], 3)
                                    .stride(2)
                                    .padding(1)),
              ChannelNorm(kFrameChannels[1]), torch::nn::SiLU(), torch::nn::Flatten(),
              torch::nn::Linear(kFrameChannels[1] * side * side, kFrameFeatures),
              torch::nn::LayerNorm(std::vector<int64_t>{kFrameFeatures}))));
    }
    head_ = register_module("head", torch::nn::Linear(2 * cameras * kFrameFeatures, classes));
  }

  torch::Tensor forward(const Samples& samples, const torch::Tensor& rows) {
    std::vector<torch::Tensor> parts;
    for (size_t c = 0; c < encoders_.size(); ++c) {
      parts.push_back(Pooled(encoders_[c]
                                 ->forward(Frames(samples, c, rows))
                                 .view({rows.size(0), -1, kFrameFeatures})));
    }
    return head_->forward(torch::cat(parts, 1));
  }

 private:
  std::vector<torch::nn::Sequential> encoders_;
  torch::nn::Linear head_{nullptr};
};
TORCH_MODULE(WindowNet);

// Where the arm is: logits [rows, classes].
class ProprioNetImpl : public torch::nn::Module {
 public:
  ProprioNetImpl(bool window, int classes) {
    frame_ = register_module(
        "frame", torch::nn::Sequential(torch::nn::Linear(kProprioDim, kHidden), torch::nn::SiLU()));
    head_ = register_module("head", torch::nn::Linear(window ? 2 * kHidden : kHidden, classes));
  }
  torch::Tensor forward(const Samples& samples, const torch::Tensor& rows) {
    return head_->forward(Pooled(frame_->forward(samples.proprio.index_select(0, rows))));
  }

 private:
  torch::nn::Sequential frame_{nullptr};
  torch::nn::Linear head_{nullptr};
};
TORCH_MODULE(ProprioNet);

// log p [rows, classes] of samples [begin, end).
template <class Net>
torch::Tensor LogOdds(Net& net, const Samples& samples, int64_t begin, int64_t end) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parts;
  for (int64_t first = begin; first < end; first += kAtOnce) {
    parts.push_back(net->forward(samples, Rows(first, std::min(first + kAtOnce, end))));
  }
  return torch::cat(parts).log_softmax(1);
}

// Trains on the first `fit` samples; of all epochs, and of knowing nothing, the one with the least
// loss on the others says what log p of `held_out` is.
template <class Net>
torch::Tensor Fit(Net& net, const Samples& train, int64_t fit, const Samples& held_out, int epochs,
                  double learning_rate, const ProbeTraining& options) {
  torch::optim::AdamW optimizer(
      net->parameters(), torch::optim::AdamWOptions(learning_rate).weight_decay(kWeightDecay));
  const int64_t n = train.label.size(0), m = held_out.label.size(0);
  const torch::Tensor others = train.label.narrow(0, fit, n - fit);
  torch::Tensor best = torch::zeros_like(LogOdds(net, held_out, 0, m));
  double least = std::log(static_cast<double>(best.size(1)));
  std::vector<int64_t> order(fit);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(StableHash(fmt::format("probe/{}", options.seed)));
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const double rate = 0.5 * (1 + std::cos(std::numbers::pi * epoch / epochs));
    for (auto& group : optimizer.param_groups()) group.options().set_lr(learning_rate * rate);
    rng.Shuffle(order);
    for (int64_t first = 0; first < fit; first += options.batch) {
      const int64_t count = std::min<int64_t>(options.batch, fit - first);
      const torch::Tensor rows =
          torch::tensor(at::ArrayRef<int64_t>(order).slice(first, count), torch::kInt64);
      optimizer.zero_grad();
      torch::nn::functional::cross_entropy(net->forward(train, rows),
                                           train.label.index_select(0, rows))
          .backward();
      optimizer.step();
    }
    const double loss =
        torch::nll_loss(LogOdds(net, train, fit, n), others).template item<double>();
    if (loss >= least) continue;
    least = loss;
    best = LogOdds(net, held_out, 0, m);
  }
  return best;
}

}  // namespace

Result<std::vector<int>> TrainProbe(const std::vector<ProbeSample>& train,
                                    const std::vector<ProbeSample>& held_out,
                                    const ProbeTraining& options) {
  try {
    torch::set_num_threads(options.threads);
    torch::manual_seed(options.seed);
    Samples seen = Stack(train, options.image_size), unseen = Stack(held_out, options.image_size);
    const torch::Tensor every_frame = seen.proprio.flatten(0, 1);
    const torch::Tensor centre = every_frame.mean(0);
    const torch::Tensor spread = every_frame.std(0, /*unbiased=*/false).clamp_min(kLeastSpread);
    for (Samples* samples : {&seen, &unseen}) samples->proprio.sub_(centre).div_(spread);
    const auto classes = static_cast<int>(
        std::max(seen.label.max().item<int64_t>(), unseen.label.max().item<int64_t>()) + 1);
    const auto fit = static_cast<int64_t>(train.size() - train.size() / 4);
    const auto cameras = static_cast<int>(seen.images.size());
    const bool window = train.front().proprio.size() > 1;
    torch::Tensor shown;
    if (!window) {
      ImageNet images(cameras, options.image_size, classes);
      shown = Fit(images, seen, fit, unseen, options.epochs, options.learning_rate, options);
    } else {
      WindowNet images(cameras, options.image_size, classes);
      ProbeTraining often = options;
      often.batch = std::max(1, options.batch / kWindowBatches);
      shown = Fit(images, seen, fit, unseen, options.epochs, kWindowRate * options.learning_rate,
                  often);
    }
    ProprioNet proprio(window, classes);
    const torch::Tensor felt = Fit(proprio, seen, fit, unseen, kProprioPasses * options.epochs,
                                   kProprioRate * options.learning_rate, options);
    const torch::Tensor guess = (shown + felt).argmax(1);
    std::vector<int> guesses;
    for (int64_t i = 0; i < guess.size(0); ++i) {
      guesses.push_back(static_cast<int>(guess[i].item<int64_t>()));
    }
    return guesses;
  } catch (const std::exception& e) {
    return InternalError(fmt::format("probe: {}", e.what()));
  }
}

}  // namespace kvla
