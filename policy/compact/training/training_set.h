// SPDX-License-Identifier: Apache-2.0
// Demonstrations as a trainer draws the batches of a step from them. Includes torch.
#ifndef KVLA_POLICY_COMPACT_TRAINING_TRAINING_SET_H_
#define KVLA_POLICY_COMPACT_TRAINING_TRAINING_SET_H_

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "policy/compact/net/vla_net.h"
#include "policy/compact/text/instruction_reader.h"
#include "policy/compact/training/demo_corpus.h"
#include "policy/compact/training/minibatch.h"
#include "policy/compact/training/train.h"
#include "tensors/torch.h"

namespace kvla {

class TrainingSet {
 public:
  // `frozen`: a net whose encoders stay as they are; each image is encoded once, here, and then let
  // go of (`phase` is what the hooks' progress calls that). Null: images are kept, packed.
  static Result<TrainingSet> Read(DemoSource& source, const PolicyConfig& policy, VlaNet* frozen,
                                  const char* phase, const TrainHooks& hooks);
  Status ReadInstructions(InstructionReader& reader);

  // `samples` histories, in parts of like length, so that little is spent on padding.
  // REQUIRES: ReadInstructions(), corpus().GroupBy().
  std::vector<Batch> Draw(int samples, const PolicyConfig& policy, const SubHistoryOptions& options,
                          Rng& rng) const;

  DemoCorpus& corpus() { return corpus_; }
  const DemoCorpus& corpus() const { return corpus_; }

 private:
  Batch PartOf(std::span<std::pair<const DemoEpisode*, SubHistory>> drawn,
               const PolicyConfig& policy) const;

  DemoCorpus corpus_;
  std::vector<torch::Tensor> encoded_;  // per episode, of EncodeEpisode(), float16; or empty
  std::map<std::string, torch::Tensor> instructions_;  // as read
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_TRAINING_TRAINING_SET_H_
