// SPDX-License-Identifier: Apache-2.0
// The parts of LibTorch that kvla uses. torch/torch.h as a whole brings template instances that
// cost every translation unit about four seconds more, precompiled or not.
#ifndef KVLA_TENSORS_TORCH_H_
#define KVLA_TENSORS_TORCH_H_

#include <ATen/ATen.h>
#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/modules/rnn.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/serialize.h>
#include <torch/types.h>
#include <torch/utils.h>

#endif  // KVLA_TENSORS_TORCH_H_
