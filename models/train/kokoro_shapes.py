"""Make a graph in Kokoro-82M's shapes with random weights, to measure what a real one costs. It says nothing.

The layers and their sizes are those of the published configuration (hexgrad/Kokoro-82M, config.json: PL-BERT, text
encoder, prosody predictor, decoder, iSTFTNet); the weights are N(0, 0.02), and a bias makes each token last about three
frames, as speech does. Usage: python3 kokoro_shapes.py <demo kokoro folder> <folder to make>, then
`npm run bench -- tts --model <folder to make>`.
"""
import os, shutil, sys
import numpy as np
import onnx
from graph import Graph, TP

RNG = np.random.default_rng(1)
STYLE, HIDDEN, BERT = 128, 512, 768
FRAMES_PER_TOKEN, MAX_DURATION = 2.9, 50
N_FFT, HOP, RATE = 20, 5, 24000
g = Graph()  # `rand` and all layers add to it, in order


def rand(*shape):
    return (RNG.standard_normal(shape) * 0.02).astype(np.float32)


def linear(x, n_in, n_out, bias=0.0):
    return g("Add", g("MatMul", x, rand(n_in, n_out)), np.full(n_out, bias, np.float32))


def conv(x, n_in, n_out, k, stride=1, dilation=1, pad=None):
    p = (k - 1) * dilation // 2 if pad is None else pad
    return g("Conv", x, rand(n_out, n_in, k), rand(n_out), kernel_shape=[k], strides=[stride], dilations=[dilation], pads=[p, p])


def conv_up(x, n_in, n_out, k, stride, pad, extra=0, group=1):
    return g("ConvTranspose", x, rand(n_in, n_out // group, k), rand(n_out), kernel_shape=[k], strides=[stride], pads=[pad, pad], output_padding=[extra], group=group)


def flip(x):
    return g("Transpose", x, perm=[0, 2, 1])


def bilstm(x, n_in):
    """[1, T, n_in] to [1, T, 512]."""
    h = HIDDEN // 2
    y, _, _ = g("LSTM", g("Transpose", x, perm=[1, 0, 2]), rand(2, 4 * h, n_in), rand(2, 4 * h, h), rand(2, 8 * h), n=3, direction="bidirectional", hidden_size=h)
    return g("Reshape", g("Transpose", y, perm=[2, 0, 1, 3]), np.array([1, -1, HIDDEN]))


def scale_shift(style, channels):
    both = g("Reshape", linear(style, STYLE, 2 * channels), np.array([1, 2 * channels, 1]))
    cut = lambda a, b: g("Slice", both, np.array([a]), np.array([b]), np.array([1]))
    return g("Add", cut(0, channels), np.float32(1)), cut(channels, 2 * channels)


def adain(x, style, channels):
    gamma, beta = scale_shift(style, channels)
    y = g("InstanceNormalization", x, np.ones(channels, np.float32), np.zeros(channels, np.float32))
    return g("Add", g("Mul", y, gamma), beta)


def leaky(x, alpha):
    return g("LeakyRelu", x, alpha=alpha)


def twice(x):
    return g("Resize", x, "", np.array([1, 1, 2], np.float32), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def res_block(x, style, n_in, n_out, up=False):
    y = leaky(adain(x, style, n_in), 0.2)
    if up:
        y = conv_up(y, n_in, n_in, 3, 2, 1, 1, group=n_in)
    y = conv(y, n_in, n_out, 3)
    y = conv(leaky(adain(y, style, n_out), 0.2), n_out, n_out, 3)
    short = twice(x) if up else x
    if n_in != n_out:
        short = conv(short, n_in, n_out, 1)
    return g("Mul", g("Add", y, short), np.float32(0.5 ** 0.5))


def snake(x, channels):
    alpha = np.ones((1, channels, 1), np.float32)
    s = g("Sin", g("Mul", x, alpha))
    return g("Add", x, g("Mul", g("Mul", s, s), alpha))


def snake_block(x, style, channels, k):
    for dilation in (1, 3, 5):
        y = conv(snake(adain(x, style, channels), channels), channels, channels, k, dilation=dilation)
        y = conv(snake(adain(y, style, channels), channels), channels, channels, k)
        x = g("Add", x, y)
    return x


def bert(ids):
    length = g("Shape", ids)
    length = g("Gather", length, np.array(1))
    x = g("Add", g("Gather", rand(178, 128), ids), g("Gather", rand(512, 128), g("Range", np.array(0), length, np.array(1))))
    x = linear(g.layer_norm(x, np.ones(128), np.zeros(128)), 128, BERT)
    w = {name: g.const(rand(*shape)) for name, shape in dict(q=(BERT, BERT), k=(BERT, BERT), v=(BERT, BERT), o=(BERT, BERT), up=(BERT, 2048), down=(2048, BERT)).items()}
    heads = lambda y, perm: g("Transpose", g("Reshape", y, np.array([1, -1, 12, 64])), perm=perm)
    for _ in range(12):
        q, k, v = (heads(g("MatMul", x, w[n]), p) for n, p in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])))
        a = g("MatMul", g("Softmax", g("Mul", g("MatMul", q, k), np.float32(0.125)), axis=-1), v)
        a = g("MatMul", g("Reshape", g("Transpose", a, perm=[0, 2, 1, 3]), np.array([1, -1, BERT])), w["o"])
        x = g.layer_norm(g("Add", x, a), np.ones(BERT), np.zeros(BERT))
        f = g("MatMul", g.gelu(g("MatMul", x, w["up"])), w["down"])
        x = g.layer_norm(g("Add", x, f), np.ones(BERT), np.zeros(BERT))
    return linear(x, BERT, HIDDEN)


def with_style(x, style):
    """[1, T, 512] and a style of its own at each step."""
    steps = g("Slice", g("Shape", x), np.array([1]), np.array([2]), np.array([0]))
    shape = g("Concat", np.array([1]), steps, np.array([STYLE]), axis=0)
    return g("Concat", x, g("Expand", g("Unsqueeze", style, np.array([1])), shape), axis=2)


def prosody(x, style):
    """Encoded durations [1, T, 640] and frames of each token [T]."""
    x = with_style(x, style)
    for _ in range(3):
        gamma, beta = (flip(part) for part in scale_shift(style, HIDDEN))
        y = g.layer_norm(bilstm(x, HIDDEN + STYLE), np.ones(HIDDEN), np.zeros(HIDDEN))
        x = with_style(g("Add", g("Mul", y, gamma), beta), style)
    p = FRAMES_PER_TOKEN / MAX_DURATION
    d = linear(bilstm(x, HIDDEN + STYLE), HIDDEN, MAX_DURATION, float(np.log(p / (1 - p))))
    d = g("ReduceSum", g("Sigmoid", d), np.array([2]), keepdims=0)
    d = g("Max", g("Round", g("Div", d, "speed")), np.float32(1))
    return x, g("Reshape", g("Cast", d, to=TP.INT64), np.array([-1]))


def stretched(x, durations, axis):
    ends = g("CumSum", durations, np.array(0))
    total = g("ReduceMax", ends, keepdims=0)
    frames = g("Unsqueeze", g("Range", np.array(0), total, np.array(1)), np.array([1]))
    past = g("Cast", g("GreaterOrEqual", frames, g("Unsqueeze", ends, np.array([0]))), to=TP.INT64)
    return g("Gather", x, g("ReduceSum", past, np.array([1]), keepdims=0), axis=axis)


def curve(x, style):
    x = res_block(x, style, HIDDEN, HIDDEN)
    x = res_block(x, style, HIDDEN, HIDDEN // 2, up=True)
    return conv(res_block(x, style, HIDDEN // 2, HIDDEN // 2), HIDDEN // 2, 1, 1)


def text_encoder(ids):
    x = flip(g("Gather", rand(178, HIDDEN), ids))
    for _ in range(3):
        x = flip(g.layer_norm(flip(conv(x, HIDDEN, HIDDEN, 5)), np.ones(HIDDEN), np.zeros(HIDDEN)))
        x = leaky(x, 0.2)
    return flip(bilstm(flip(x), HIDDEN))


def harmonics(f0):
    """[1, 22, 120 F + 1]: magnitudes and phases of a source of nine harmonics."""
    f = g("Resize", f0, "", np.array([1, 1, 300], np.float32), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    turns = g("CumSum", g("Mul", f, (np.arange(1, 10, dtype=np.float32) / RATE).reshape(1, 9, 1)), np.array(2))
    source = g("Tanh", conv(g("Sin", g("Mul", turns, np.float32(2 * np.pi))), 9, 1, 1))
    n, k = np.arange(N_FFT), np.arange(N_FFT // 2 + 1)[:, None]
    window = np.hanning(N_FFT + 1)[:-1]
    basis = np.concatenate([np.cos(2 * np.pi * k * n / N_FFT) * window, -np.sin(2 * np.pi * k * n / N_FFT) * window])
    spectrum = g("Conv", source, basis[:, None, :].astype(np.float32), kernel_shape=[N_FFT], strides=[HOP], pads=[N_FFT // 2, N_FFT // 2])
    real, imaginary = g("Split", spectrum, n=2, axis=1, num_outputs=2)
    size = g("Sqrt", g("Add", g("Add", g("Mul", real, real), g("Mul", imaginary, imaginary)), np.float32(1e-9)))
    return g("Concat", size, g("Atan", g("Div", imaginary, g("Add", real, np.float32(1e-3)))), axis=1)


def inverse(x):
    size, phase = g("Split", x, n=2, axis=1, num_outputs=2)
    size, phase = g("Exp", size), g("Sin", phase)
    parts = g("Concat", g("Mul", size, g("Cos", phase)), g("Mul", size, g("Sin", phase)), axis=1)
    n, k = np.arange(N_FFT), np.arange(N_FFT // 2 + 1)[:, None]
    basis = np.concatenate([np.cos(2 * np.pi * k * n / N_FFT), -np.sin(2 * np.pi * k * n / N_FFT)]) * np.hanning(N_FFT + 1)[:-1] / N_FFT
    return g("ConvTranspose", parts, basis[:, None, :].astype(np.float32), kernel_shape=[N_FFT], strides=[HOP], pads=[N_FFT // 2, N_FFT // 2])


def generator(x, style, f0):
    source = harmonics(f0)
    stages = ((512, 256, 20, 10, 12, 6, 3, 7), (256, 128, 12, 6, 1, 1, 0, 11))
    for at, (n_in, n_out, k, stride, noise_k, noise_stride, noise_pad, res_k) in enumerate(stages):
        noise = snake_block(conv(source, 22, n_out, noise_k, stride=noise_stride, pad=noise_pad), style, n_out, res_k)
        x = conv_up(leaky(x, 0.1), n_in, n_out, k, stride, (k - stride) // 2)
        if at == 1:
            x = g("Pad", x, np.array([0, 0, 1, 0, 0, 0]), mode="reflect")
        x = g("Add", x, noise)
        a, b, c = (snake_block(x, style, n_out, kernel) for kernel in (3, 7, 11))
        x = g("Mul", g("Add", g("Add", a, b), c), np.float32(1 / 3))
    return inverse(conv(leaky(x, 0.01), 128, N_FFT + 2, 7))


def main(demo, folder):
    os.makedirs(f"{folder}/onnx", exist_ok=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{demo}/{name}", folder)
    shutil.copytree(f"{demo}/voices", f"{folder}/voices", dirs_exist_ok=True)
    part = lambda a, b: g("Slice", "style", np.array([a]), np.array([b]), np.array([1]))
    ref, style = part(0, STYLE), part(STYLE, 2 * STYLE)
    encoded, durations = prosody(bert("input_ids"), style)
    shared = flip(bilstm(stretched(encoded, durations, 1), HIDDEN + STYLE))
    f0_curve, n_curve = curve(shared, style), curve(shared, style)
    asr = stretched(text_encoder("input_ids"), durations, 2)
    f0, n = conv(f0_curve, 1, 1, 3, stride=2), conv(n_curve, 1, 1, 3, stride=2)
    x = res_block(g("Concat", asr, f0, n, axis=1), ref, HIDDEN + 2, 1024)
    residue = conv(asr, HIDDEN, 64, 1)
    for last in (False, False, False, True):
        x = res_block(g("Concat", x, residue, f0, n, axis=1), ref, 1090, 512 if last else 1024, up=last)
    g("Reshape", generator(x, ref, f0_curve), np.array([1, -1]), out="waveform")
    for number, node in enumerate(g.nodes):
        node.name = f"{node.op_type}_{number}"  # older runtimes need names that differ
    value = onnx.helper.make_tensor_value_info
    inputs = [value("input_ids", TP.INT64, [1, "sequence_length"]), value("style", TP.FLOAT, [1, 256]), value("speed", TP.FLOAT, [1])]
    graph = onnx.helper.make_graph(g.nodes, "kokoro_shapes", inputs, [value("waveform", TP.FLOAT, [1, "num_samples"])], g.inits)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, f"{folder}/onnx/model.onnx")
    print(sum(int(np.prod(t.dims)) for t in g.inits) / 1e6, "million numbers")


main(*sys.argv[1:])
