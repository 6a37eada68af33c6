"""Holds the random Moonshine graphs of models/random/moonshine.ts against transformers' MoonshineForConditionalGeneration.

    python3 moonshine_check.py <folder of the model>

The weights in the ONNX files have the names of the reference's own; they are put into it, and both hear the same sounds of
several lengths, alone and two at a time: encoder states, the logits of a prompt of three tokens, and of twelve more tokens one
by one through the cache. Needed: torch, transformers, onnx, onnxruntime.
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from transformers import MoonshineConfig, MoonshineForConditionalGeneration

LENGTHS = (1600, 16000, 54321, 160000)
TOLERANCE = 5e-5  # of the largest number


def weights(path):
    named = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    return {name: array for name, array in named.items() if name.startswith("model.")}


def load_reference(folder):
    with open(f"{folder}/config.json") as file:
        raw = json.load(file)
    rope = {"rope_type": "default", "rope_theta": raw["rope_theta"], "partial_rotary_factor": raw["partial_rotary_factor"]}
    config = MoonshineConfig(**{k: v for k, v in raw.items() if k not in ("model_type", "architectures", "rope_theta")},
                             rope_parameters=rope, attn_implementation="eager")
    reference = MoonshineForConditionalGeneration(config).eval()
    state = reference.state_dict()
    made = {**weights(f"{folder}/onnx/encoder_model.onnx"), **weights(f"{folder}/onnx/decoder_model_merged.onnx")}
    for name, array in made.items():
        wanted = state[name].shape
        # A linear layer's weight is [out, in] in torch and [in, out] in the graph; GroupNorm's are columns there.
        is_linear = array.ndim == 2 and "embed" not in name and "groupnorm" not in name
        state[name] = torch.from_numpy((array.T if is_linear else array).copy()).reshape(wanted)
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    left = [name for name in state if name not in made and name != "proj_out.weight"]
    assert not left, f"not in the graphs: {left}"
    reference.load_state_dict(state)
    return reference


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(decoder, ids, states, cache):
    feeds = {"input_ids": ids, "encoder_hidden_states": states, "use_cache_branch": np.array([cache is not None])}
    for port in decoder.get_inputs():
        if port.name.startswith("past"):
            empty = np.zeros((ids.shape[0], port.shape[1], 0, port.shape[3]), np.float32)
            feeds[port.name] = empty if cache is None else cache[port.name]
        if port.name == "encoder_attention_mask":
            feeds[port.name] = np.ones((ids.shape[0], 384 * states.shape[1] + 384), np.int64)
    outputs = dict(zip([port.name for port in decoder.get_outputs()], decoder.run(None, feeds)))
    present = {k.replace("present", "past_key_values"): v for k, v in outputs.items() if k.startswith("present")}
    if cache is not None:  # the sound's keys and values come with the first step only
        present.update({name: value for name, value in cache.items() if ".encoder." in name})
    return outputs["logits"], present


def main(folder):
    reference = load_reference(folder)
    encoder, decoder = session(f"{folder}/onnx/encoder_model.onnx"), session(f"{folder}/onnx/decoder_model_merged.onnx")
    random = np.random.default_rng(1)
    worst = 0.0
    for length in LENGTHS:
        for rows in (1, 2):
            sound = (0.1 * random.standard_normal((rows, length))).astype(np.float32)
            feeds = {"input_values": sound}
            if len(encoder.get_inputs()) > 1:
                feeds["attention_mask"] = np.ones(sound.shape, np.int64)
            states = encoder.run(None, feeds)[0]
            ids = random.integers(3, reference.config.vocab_size, (rows, 15))
            with torch.no_grad():
                wanted_states = reference.model.encoder(torch.from_numpy(sound)).last_hidden_state.numpy()
                wanted = reference(input_values=torch.from_numpy(sound), decoder_input_ids=torch.from_numpy(ids)).logits.numpy()
            logits, cache = run(decoder, ids[:, :3], states, None)
            found = [logits]
            for at in range(3, ids.shape[1]):
                logits, cache = run(decoder, ids[:, at:at + 1], states, cache)
                found.append(logits)
            pairs = (states, wanted_states), (np.concatenate(found, 1), wanted)
            errors = [np.abs(ours - theirs).max() / np.abs(theirs).max() for ours, theirs in pairs]
            worst = max(worst, *errors)
            print(f"{rows} x {length:6} samples: states {states.shape[1]:4} positions, differ by {errors[0]:.1e}; "
                  f"logits by {errors[1]:.1e} of the largest")
    if worst > TOLERANCE:
        sys.exit(f"expected at most {TOLERANCE}, got {worst}")


main(sys.argv[1])
