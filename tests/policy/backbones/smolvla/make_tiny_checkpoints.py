#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tiny SmolVLA checkpoints in LeRobot's published layout, random weights, and what LeRobot's own code makes of
them, stage by stage, for tests/policy/backbones/smolvla/.

    python3.12 -m venv /tmp/venv
    /tmp/venv/bin/pip install lerobot==0.6.1 transformers==5.5.4 torch==2.11.0 num2words accelerate
    /tmp/venv/bin/python tests/policy/backbones/smolvla/make_tiny_checkpoints.py [FOLDER]

FOLDER (tests/policy/backbones/smolvla/data) gets a folder a checkpoint: config.json, model.safetensors or its shards,
both processors with their statistics, vlm/config.json (what `vlm_model_name` names), and stages.safetensors: the input,
each intermediate stage and the actions, all in f32. Tokens that LeRobot masks (padding, cameras that are not there) are
left out of the stages: nothing attends to them. Nothing asks a hub.
"""
import json
import os
import pathlib
import shutil
import sys
import types

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from huggingface_hub import save_torch_state_dict  # noqa: E402
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature  # noqa: E402
import lerobot.policies.smolvla.smolvlm_with_expert as smolvlm  # noqa: E402
from lerobot.policies.smolvla.configuration_smolvla import SmolVLAConfig  # noqa: E402
from lerobot.policies.smolvla.modeling_smolvla import SmolVLAPolicy  # noqa: E402
from lerobot.processor import (AddBatchDimensionProcessorStep, DeviceProcessorStep, NewLineTaskProcessorStep,  # noqa: E402
                               NormalizerProcessorStep, PolicyProcessorPipeline, RenameObservationsProcessorStep,
                               TokenizerProcessorStep, UnnormalizerProcessorStep)
from lerobot.processor.converters import policy_action_to_transition, transition_to_policy_action  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import SmolVLMConfig  # noqa: E402

CHECKPOINTS = {
    # Two cameras that look across, keys for three query heads each, cross-attention in every second layer.
    "two_cameras": dict(
        vision=dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=64,
                    patch_size=16),
        text=dict(hidden_size=48, intermediate_size=64, num_hidden_layers=6, num_attention_heads=6,
                  num_key_value_heads=2, head_dim=8),
        scale=2, cameras=2, empty=0, images=[(40, 56), (64, 30)], prompt=7, padding=0, state=8, action=7, dtype="float32",
        shard="5MB",
        policy=dict(chunk_size=6, n_action_steps=6, max_state_dim=9, max_action_dim=8, num_vlm_layers=4,
                    tokenizer_max_length=12)),
    # One camera, one KV head, heads that are narrower than the model, cross-attention in two layers of three, bf16, shards.
    "shards": dict(
        vision=dict(hidden_size=18, intermediate_size=30, num_hidden_layers=3, num_attention_heads=2, image_size=48,
                    patch_size=8),
        text=dict(hidden_size=42, intermediate_size=72, num_hidden_layers=5, num_attention_heads=3,
                  num_key_value_heads=1, head_dim=12),
        scale=3, cameras=1, empty=0, images=[(31, 48)], prompt=5, padding=0, state=6, action=6, dtype="bfloat16",
        shard="100KB",
        policy=dict(chunk_size=7, n_action_steps=4, max_state_dim=6, max_action_dim=6, num_vlm_layers=5,
                    tokenizer_max_length=48, self_attn_every_n_layers=3, expert_width_multiplier=0.62)),
    # Two cameras of three, a padded prompt, as many KV heads as heads, an expert layer for every second layer, f16, other
    # statistics, periods and steps.
    "empty_camera": dict(
        vision=dict(hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4, image_size=32,
                    patch_size=8),
        text=dict(hidden_size=56, intermediate_size=50, num_hidden_layers=4, num_attention_heads=4,
                  num_key_value_heads=4, head_dim=10),
        scale=2, cameras=2, empty=1, images=[(32, 32), (70, 90)], prompt=6, padding=3, state=5, action=3, dtype="float16",
        shard="5MB",
        policy=dict(chunk_size=5, n_action_steps=5, max_state_dim=7, max_action_dim=4, num_vlm_layers=4,
                    num_expert_layers=2, self_attn_every_n_layers=4, tokenizer_max_length=9, pad_language_to="max_length",
                    expert_width_multiplier=0.5, num_steps=4, min_period=1e-2, max_period=2.0,
                    normalization_mapping={"VISUAL": NormalizationMode.IDENTITY, "STATE": NormalizationMode.MIN_MAX,
                                           "ACTION": NormalizationMode.MEAN_STD})),
}


def vlm_config(spec):
    return SmolVLMConfig(
        vision_config=dict(layer_norm_eps=1e-6, hidden_act="gelu_pytorch_tanh", **spec["vision"]),
        text_config=dict(model_type="llama", vocab_size=97, rms_norm_eps=1e-5, rope_theta=100000.0,
                         max_position_embeddings=512, tie_word_embeddings=False, attention_bias=False, **spec["text"]),
        scale_factor=spec["scale"], image_token_id=96, pad_token_id=2, tie_word_embeddings=False)


def policy_config(spec):
    inputs = {f"observation.images.camera{i + 1}": PolicyFeature(type=FeatureType.VISUAL, shape=(3, *size))
              for i, size in enumerate(spec["images"])}
    inputs["observation.state"] = PolicyFeature(type=FeatureType.STATE, shape=(spec["state"],))
    outputs = {"action": PolicyFeature(type=FeatureType.ACTION, shape=(spec["action"],))}
    size = spec["vision"]["image_size"]
    return SmolVLAConfig(input_features=inputs, output_features=outputs, device="cpu", load_vlm_weights=False,
                         vlm_model_name="vlm", resize_imgs_with_padding=(size, size), empty_cameras=spec["empty"],
                         **spec["policy"])


def make_policy(spec):
    class Config:
        @staticmethod
        def from_pretrained(*_, **__):
            return vlm_config(spec)

    class Processor:
        @staticmethod
        def from_pretrained(*_, **__):
            return types.SimpleNamespace(tokenizer=types.SimpleNamespace(fake_image_token_id=1, global_image_token_id=2))

    smolvlm.AutoConfig, smolvlm.AutoProcessor = Config, Processor
    return SmolVLAPolicy(policy_config(spec)).eval()


def randomise(policy, generator):
    """Of a size at which softmax, norms and gates all matter; the usual initialisation leaves attention flat."""
    for name, value in policy.named_parameters():
        noise = torch.randn(value.shape, generator=generator)
        if "position_embedding" in name:
            new = noise * 0.5
        elif "embed_tokens" in name:
            new = noise * 0.15
        elif value.ndim >= 2:
            new = noise / (value[0].numel() ** 0.5)
        elif "norm" in name and name.endswith("weight"):
            new = 1 + 0.3 * noise
        else:
            new = noise * 0.2
        value.data.copy_(new)


def processors(config, spec, generator):
    def numbers(n):
        return torch.randn(n, generator=generator)

    low = numbers(spec["state"])
    stats = {"observation.state": {"mean": numbers(spec["state"]), "std": numbers(spec["state"]).abs() + 0.3,
                                   "min": low, "max": low + numbers(spec["state"]).abs() + 0.5},
             "action": {"mean": numbers(spec["action"]), "std": numbers(spec["action"]).abs() + 0.3}}
    tokenizer = TokenizerProcessorStep(tokenizer=object(), padding=config.pad_language_to, padding_side="right",
                                       max_length=config.tokenizer_max_length)
    tokenizer.tokenizer, tokenizer.tokenizer_name = None, config.vlm_model_name
    before = PolicyProcessorPipeline(name="policy_preprocessor", steps=[
        RenameObservationsProcessorStep(rename_map={}), AddBatchDimensionProcessorStep(), NewLineTaskProcessorStep(),
        tokenizer, DeviceProcessorStep(device="cpu"),
        NormalizerProcessorStep(features={**config.input_features, **config.output_features},
                                norm_map=config.normalization_mapping, stats=stats)])
    after = PolicyProcessorPipeline(name="policy_postprocessor", to_transition=policy_action_to_transition,
                                    to_output=transition_to_policy_action, steps=[
        UnnormalizerProcessorStep(features=config.output_features, norm_map=config.normalization_mapping, stats=stats),
        DeviceProcessorStep(device="cpu")])
    return before, after


def write_checkpoint(folder, spec, seed):
    generator = torch.Generator().manual_seed(seed)
    policy = make_policy(spec)
    randomise(policy, generator)
    policy.to(getattr(torch, spec["dtype"]))
    before, after = processors(policy.config, spec, generator)
    folder.mkdir(parents=True)
    policy.config._save_pretrained(folder)
    save_torch_state_dict({k: v.contiguous() for k, v in policy.state_dict().items()}, folder,
                          max_shard_size=spec["shard"])
    if not (folder / "model.safetensors.index.json").exists():  # the layout that save_pretrained writes: no metadata
        save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    before.save_pretrained(folder, config_filename="policy_preprocessor.json")
    after.save_pretrained(folder, config_filename="policy_postprocessor.json")
    vlm_config(spec).save_pretrained(folder / "vlm")
    return before, after


def load_policy(folder, spec):
    policy = make_policy(spec).float()
    tensors = {}
    for file in folder.glob("model*.safetensors"):
        tensors.update(load_file(file))
    policy.load_state_dict({k: v.float() for k, v in tensors.items()})
    return policy


def watch(policy, stages, kept):
    """Hooks that note what comes out of the vision tower and what goes into each layer and each last norm.

    LeRobot runs the layers' parts itself, so what a layer gave is what the next norm is given."""
    model = policy.model.vlm_with_expert
    vision = model.get_vlm_model().vision_model
    counter = {"image": 0, "step": 0}

    def out_of(name):
        def hook(_module, _inputs, output):
            value = output[0] if isinstance(output, tuple) else output
            stages[f"image.{counter['image']}.{name}"] = value[0].clone()
        return hook

    vision.embeddings.register_forward_hook(out_of("patches"))
    for i, layer in enumerate(vision.encoder.layers):
        layer.register_forward_hook(out_of(f"layer.{i}"))
    vision.post_layernorm.register_forward_hook(out_of("vision"))

    def connector(_module, _inputs, output):
        stages[f"image.{counter['image']}.tokens"] = output[0].clone()
        counter["image"] += 1
    model.get_vlm_model().connector.register_forward_hook(connector)

    def into(name, rows):
        def hook(_module, inputs):
            stages[name()] = inputs[0][0][rows()].clone()
        return hook

    text = model.get_vlm_model().text_model
    norms = [layer.input_layernorm for layer in text.layers] + [text.norm]
    for i, norm in enumerate(norms[1:]):
        norm.register_forward_pre_hook(into(lambda i=i: f"prefix.layer.{i}", lambda: kept["rows"]))
    norms = [layer.input_layernorm for layer in model.lm_expert.layers] + [model.lm_expert.norm]
    for i, norm in enumerate(norms[1:]):
        norm.register_forward_pre_hook(into(lambda i=i: f"step.{counter['step']}.layer.{i}", lambda: slice(None)))

    denoise, embed, forward = policy.model.denoise_step, policy.model.embed_prefix, model.forward

    def embed_prefix(*args, **kwargs):
        embedded, padded, attend = embed(*args, **kwargs)
        kept["rows"] = padded[0]
        stages["prefix"] = embedded[0][padded[0]].clone()
        return embedded, padded, attend

    def denoise_step(**kwargs):
        step = counter["step"]
        stages[f"step.{step}.x"] = kwargs["x_t"][0].clone()
        stages[f"step.{step}.suffix"] = policy.model.embed_suffix(kwargs["x_t"], kwargs["timestep"])[0][0].clone()
        velocity = denoise(**kwargs)
        stages[f"step.{step}.velocity"] = velocity[0].clone()
        counter["step"] += 1
        return velocity

    def run(**kwargs):
        outputs, cache = forward(**kwargs)
        if kwargs["past_key_values"] is None:
            stages["prefix.out"] = outputs[0][0][kept["rows"]].clone()
            stages["prefix.mask"] = kwargs["attention_mask"][0][kept["rows"]][:, kept["rows"]].to(torch.uint8)
            for i, layer in enumerate(cache.layers):
                stages[f"prefix.keys.{i}"] = layer.keys[0][:, kept["rows"]].clone()
                stages[f"prefix.values.{i}"] = layer.values[0][:, kept["rows"]].clone()
        return outputs, cache

    policy.model.denoise_step, policy.model.embed_prefix, model.forward = denoise_step, embed_prefix, run


def write_stages(folder, spec, before, after, seed):
    """The observation through the saved processors and weights."""
    policy, stages, kept = load_policy(folder, spec), {}, {}
    watch(policy, stages, kept)
    generator = torch.Generator().manual_seed(seed)
    config = policy.config
    observation = {}
    for i, (height, width) in enumerate(spec["images"]):
        image = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
        stages[f"input.image.{i}"] = image
        observation[f"observation.images.camera{i + 1}"] = image.permute(2, 0, 1).float() / 255
    stages["input.state"] = torch.randn(spec["state"], generator=generator)
    observation["observation.state"] = stages["input.state"].clone()
    stages["input.tokens"] = torch.randint(0, 96, (spec["prompt"],), generator=generator)
    stages["input.noise"] = torch.randn(config.chunk_size, config.max_action_dim, generator=generator)
    before.steps = [step for step in before.steps if not isinstance(step, (TokenizerProcessorStep, NewLineTaskProcessorStep))]
    batch = before(observation)
    padding = torch.full((spec["padding"],), 2)
    batch["observation.language.tokens"] = torch.cat([stages["input.tokens"], padding])[None]
    batch["observation.language.attention_mask"] = torch.cat([torch.ones(spec["prompt"]), padding * 0])[None].bool()
    with torch.inference_mode():
        images, _ = policy.prepare_images(batch)
        for i in range(spec["cameras"]):
            stages[f"image.{i}.pixels"] = images[i][0].clone()
        stages["state"] = policy.prepare_state(batch)[0].clone()
        actions = policy.predict_action_chunk(batch, noise=stages["input.noise"][None].clone())
        stages["actions.normalised"] = actions[0].clone()
        stages["actions"] = after(actions)[0].clone()
    absent = [name for name in stages if name.startswith(tuple(f"image.{i}." for i in range(spec["cameras"], 9)))]
    for name in absent:  # a camera that is not there
        del stages[name]
    save_file({name: value.contiguous() for name, value in stages.items()}, folder / "stages.safetensors")
    return stages


def main():
    torch.set_num_threads(1)
    here = pathlib.Path(__file__).resolve().parent / "data"
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    for seed, (name, spec) in enumerate(CHECKPOINTS.items()):
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        before, after = write_checkpoint(folder, spec, 10 + seed)
        stages = write_stages(folder, spec, before, after, 20 + seed)
        sizes = {file.name: file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
        print(name, sum(sizes.values()), "bytes", json.dumps(sizes))
        print("  stages", len(stages), "largest action", float(stages["actions"].abs().max()),
              "spread of scores' keys", float(stages["prefix.keys.0"].std()))


if __name__ == "__main__":
    main()
