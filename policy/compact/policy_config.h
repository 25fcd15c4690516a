// SPDX-License-Identifier: Apache-2.0
// The compact VLA's sizes; stored as config.yaml beside its weights.
#ifndef KVLA_POLICY_COMPACT_POLICY_CONFIG_H_
#define KVLA_POLICY_COMPACT_POLICY_CONFIG_H_

#include <string>
#include <vector>

#include "base/config_fields.h"

namespace kvla {

struct PolicyConfig {
  int image_size = 64;
  std::vector<std::string> cameras = {"front", "wrist"};
  std::vector<int> camera_tokens = {4, 3};
  int hidden_size = 128;
  int num_layers = 4;
  int num_heads = 4;
  int num_kv_heads = 2;
  int intermediate_size = 352;
  double rope_theta = 100.0;
  int age_clamp_blocks = 24;
  int window_blocks = 16;
  int chunk_blocks = 4;
  int replan_steps = 4;
  std::string memory = "cache";
  int recurrent_size = 512;
  int recurrent_tokens = 4;
  std::string text = "words";
  int max_instruction_tokens = 32;
  int instruction_tokens = 4;
  int num_target_classes = 4;
  int cue_orders = 0;
  std::string places = "from_hand";
  std::string way = "blend";
  std::vector<std::string> vocabulary;

  int tokens_per_block() const {
    int tokens = 1;  // the state token
    for (const int n : camera_tokens) tokens += n;
    return tokens;
  }
  bool recurrent() const { return memory == "recurrent"; }
  // Tokens of a block in the decoder: the frame block's, then those that say the state.
  int decoder_tokens() const { return tokens_per_block() + (recurrent() ? recurrent_tokens : 0); }
  bool reads_sentences() const { return text == "minilm"; }
  // Tokens that an instruction takes in the cache, at most.
  int instruction_capacity() const {
    return reads_sentences() ? instruction_tokens : max_instruction_tokens;
  }
  int head_dim() const { return hidden_size / num_heads; }

  template <class V>
  void Fields(V& v) {
    v("image_size", image_size, Range{32, 256}, "side of the square camera images, pixels");
    v("cameras", cameras, "camera names, in the order of the frame block");
    v("camera_tokens", camera_tokens, "tokens each camera contributes to a frame block");
    v("hidden_size", hidden_size, Range{16, 4096}, "width of the decoder");
    v("num_layers", num_layers, Range{1, 64}, "decoder layers");
    v("num_heads", num_heads, Range{1, 64}, "query heads");
    v("num_kv_heads", num_kv_heads, Range{1, 64}, "key-value heads (grouped-query attention)");
    v("intermediate_size", intermediate_size, Range{16, 16384}, "width of the SwiGLU");
    v("rope_theta", rope_theta, Range{1.0, 1e7}, "base of the rotary frequencies");
    v("age_clamp_blocks", age_clamp_blocks, Range{0, 4096},
      "rotary distance, in frame blocks, of every token that left the window; 0: its true one");
    v("window_blocks", window_blocks, Range{1, 4096}, "window the policy was trained with");
    v("chunk_blocks", chunk_blocks, Range{1, 256}, "frame blocks a chunk");
    v("replan_steps", replan_steps, Range{1, 64}, "control steps an action chunk");
    v("memory", memory, OneOf{"cache", "recurrent"},
      "what an inference knows of the past: keys and values in the cache, or the state of a GRU; "
      "it then sees its own frame block, the instruction and the state alone");
    v("recurrent_size", recurrent_size, Range{16, 4096},
      "numbers of the state, 4 bytes each, under memory: recurrent");
    v("recurrent_tokens", recurrent_tokens, Range{1, 16},
      "tokens that say the state beside a frame block, under memory: recurrent");
    v("text", text, OneOf{"words", "minilm"},
      "how instructions are read: words of the vocabulary, or a pretrained sentence encoder");
    v("max_instruction_tokens", max_instruction_tokens, Range{1, 256},
      "longest instruction, under text: words");
    v("instruction_tokens", instruction_tokens, Range{1, 64},
      "tokens that a sentence's embedding is mapped to, under text: minilm");
    v("num_target_classes", num_target_classes, Range{1, 64}, "classes of the auxiliary head");
    v("cue_orders", cue_orders, Range{0, 16},
      "classes of a second auxiliary head: which "
      "of the episode's cues a block sees; 0: no such head");
    v("places", places, OneOf{"from_hand", "world"},
      "what the heads learn of a place: its offset from the hand, or where it is; the hand's own "
      "position is then taken off, exactly");
    v("way", way, OneOf{"blend", "choose"},
      "where an inference's motion leads: a blend of the goal and of elsewhere, by how likely each "
      "is, or the likelier one");
    v("vocabulary", vocabulary,
      "words of the instructions, under text: words; ids follow the order, after BOS, UNK");
  }
};

}  // namespace kvla

#endif  // KVLA_POLICY_COMPACT_POLICY_CONFIG_H_
