// SPDX-License-Identifier: Apache-2.0
// A small backbone with every part that a published one has.
#ifndef KVLA_TESTS_POLICY_BACKBONES_TINY_SHAPE_H_
#define KVLA_TESTS_POLICY_BACKBONES_TINY_SHAPE_H_

#include "policy/backbones/shapes.h"

namespace kvla {

inline BackboneShape TinyShape() {
  BackboneShape s;
  s.name = "tiny";
  s.text = {.hidden = 48, .layers = 3, .heads = 6, .kv_heads = 2, .head_dim = 8, .mlp = 80};
  s.vocabulary = 100;
  s.towers = {
      {.sizes = {.image = 16, .patch = 4, .hidden = 24, .layers = 2, .heads = 2, .mlp = 40},
       .extra_tokens = 3},
      {.sizes = {.image = 16, .patch = 4, .hidden = 32, .layers = 1, .heads = 4, .mlp = 56}}};
  s.connector = {{56, 64}, {64, 48}};
  s.images = 2;
  s.image_tokens = 16;
  s.own_tokens = 1;
  s.prompt = 5;
  s.maps = {{7, 48}};
  s.passes = {{.tokens = 2, .times = 4}, {.tokens = 1, .times = 3}};
  s.logits = 3;
  s.expert.sizes = {.hidden = 40, .layers = 3, .heads = 6, .kv_heads = 2, .head_dim = 8, .mlp = 64};
  s.expert.cross_layers = 1;
  s.expert.rows = 10;
  s.expert.steps = 4;
  s.expert.maps = {{6, 40}, {40, 6}};
  s.diffusion.sizes = {.hidden = 24, .layers = 2, .heads = 2, .mlp = 96};
  s.diffusion.rows = 14;
  s.diffusion.steps = 5;
  s.diffusion.maps = {{7, 24}, {24, 7}};
  return s;
}

}  // namespace kvla

#endif  // KVLA_TESTS_POLICY_BACKBONES_TINY_SHAPE_H_
