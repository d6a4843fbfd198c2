"""The equations of all seven papers in plain NumPy: one image, one sentence, one word at a time.

Read it as a formulary. X (R, F) are the features of an image's regions, V (R, D) its regions and v (D) the image in the
joint space; W (W, D) are a sentence's words and t (D) the sentence. An image or text is (v, V) or (t, W), None where
nothing asks for it. `w` holds the weights of the layer or layers at hand under torch's names; nothing is taken from
the package.
"""

from functools import partial
from itertools import pairwise

import numpy as np
from scipy.special import erf

# ---- What the papers share


def part(w, name):
    return {key.removeprefix(f"{name}."): value for key, value in w.items() if key.startswith(f"{name}.")}


def each(function, rows):
    return np.array([function(row) for row in rows])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def length(x):
    return np.sqrt((x * x).sum())


def l2norm(x):  # x / |x|, with SCAN's epsilon against zero vectors
    return x / (length(x) + 1e-8)


def linear(w, name, x):  # x W + b, of a vector or of each row
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)


def batch_norm(w, x):  # gamma (x - mean) / sqrt(variance + 1e-5) + beta, of the statistics kept from training
    return w["weight"] * (x - w["running_mean"]) / np.sqrt(w["running_var"] + 1e-5) + w["bias"]


def gru_step(w, x, h):  # r, z = sigmoid(W x + b + U h + c)   n = tanh(W x + b + r (U h + c))   h' = (1 - z) n + z h
    W, U, b, c = (np.split(w[name], 3) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    r, z = (sigmoid(W[k] @ x + b[k] + U[k] @ h + c[k]) for k in (0, 1))
    n = np.tanh(W[2] @ x + b[2] + r * (U[2] @ h + c[2]))
    return (1 - z) * n + z * h


def gru(w, inputs):  # h_0 = 0     h_n = GRU(x_n, h_{n-1})
    states = [np.zeros(w["weight_hh"].shape[1])]
    for x in inputs:
        states.append(gru_step(w, x, states[-1]))
    return np.array(states[1:])


def lstm(w, inputs):  # i, f, o = sigmoid(W x + b + U h + c)   g = tanh(same)   c' = f c + i g   h' = o tanh(c')
    h = cell = np.zeros(w["weight_hh"].shape[1])
    states = []
    for x in inputs:
        i, f, g, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"], 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(cell)
        states.append(h)
    return np.array(states)


def cosine(v, V, t, W):  # S_G = v . t
    return v @ t


def hinge(S, image_of, margin, hardest):  # pool_j [a - S_ii + S_ij]+ + pool_j [a - S_ii + S_ji]+, j of another image
    losses = []
    for i in range(len(S)):
        wrong = [j for j in range(len(S)) if image_of[j] != image_of[i]]
        for scores in (S[i, wrong], S[wrong, i]):
            violations = [max(0, margin - S[i, i] + score) for score in scores]
            losses.append(max(violations) if hardest else sum(violations))
    return sum(losses) / len(S)


# ---- VSE++


def plain_image(w, X):  # v = l2norm(W mean(X) + b)     V = l2norm(X W + b), SCAN's
    return l2norm(linear(w, "project", X.mean(0))), each(l2norm, linear(w, "project", X))


def gru_text(w, tokens):  # t = l2norm(GRU(words)), the state at <end>
    states = gru(part(w, "forwards"), w["embedding.weight"][tokens])
    return l2norm(states[-1]), each(l2norm, states)


def order(v, V, t, W):  # S = - |max(0, |t| - |v|)|
    return -length(np.maximum(0, abs(t) - abs(v)))


# ---- SCO


def concepts(w, X):  # p = sigmoid(max(max_r MLP(x_r), MLP(mean X)))
    logits = linear(w, "layers.2", np.maximum(0, linear(w, "layers.0", np.array([*X, X.mean(0)]))))
    return sigmoid(logits.max(0))


def concept_image(w, X):  # g = sigmoid(U_l p + U_g x)   v = l2norm(g l2norm(W_l p) + (1 - g) l2norm(W_g x)), x = mean X
    p, x = concepts(part(w, "predictor"), X), X.mean(0)
    g = sigmoid(linear(w, "gate_concepts", p) + linear(w, "gate_context", x))
    return l2norm(g * l2norm(linear(w, "concepts", p)) + (1 - g) * l2norm(linear(w, "context", x))), None


def lstm_text(w, tokens):  # t = l2norm(LSTM(words)), the state at <end>
    return l2norm(lstm(part(w, "lstm"), w["embedding.weight"][tokens])[-1]), None


def concept_loss(w, X, v, V, tokens):  # - sum_k y_k log p_k + (1 - y_k) log(1 - p_k), y_k: the caption names concept k
    p = concepts(part(w, "predictor"), X)
    return -sum(np.log(p[k] if concept in tokens else 1 - p[k]) for k, concept in enumerate(w["concepts"]))


def generation_loss(w, X, v, V, tokens):  # - sum_t log p(y_t | y_1 ... y_{t-1}, v): an LSTM is shown v, then the words
    states = lstm(part(w, "lstm"), [linear(w, "first", v), *w["embedding.weight"][tokens[:-1]]])
    return -sum(np.log(softmax(linear(w, "output", h))[y]) for h, y in zip(states[1:], tokens[1:], strict=True))


# ---- SCAN


def bigru_text(w, tokens):  # w_n = l2norm(mean of both states at n)     t = l2norm(mean of both end states)
    words = w["embedding.weight"][tokens]
    there, back = gru(part(w, "forwards"), words), gru(part(w, "backwards"), words[::-1])[::-1]
    return l2norm((there[-1] + back[0]) / 2), each(l2norm, (there + back) / 2)


def attend(v, V, t, W, direction="t2i", temperature=9, pool=np.mean):
    # a_q = softmax_c(temperature norm_q(leaky(s_cq)))     r_q = cos(query_q, sum_c a_qc context_c)     S_L = pool_q r_q
    queries, context = (W, V) if direction == "t2i" else (V, W)
    s = np.array([[c @ q for q in queries] for c in context])
    s = each(l2norm, np.where(s > 0, s, 0.1 * s))
    cosines = []
    for q, query in enumerate(queries):
        attended = softmax(temperature * s[:, q]) @ context
        cosines.append(query @ attended / length(attended))  # |query| = 1
    return pool(cosines)


def log_sum_exp(factor, cosines):  # log(sum_q exp(factor r_q)) / factor
    return np.log(np.exp(factor * np.array(cosines)).sum()) / factor


# ---- GVSE


def gated(common, uncommon, gate):  # [sqrt(1 - g) l2norm(common) ; sqrt(g) l2norm(uncommon)], g = sigmoid(gate)
    g = sigmoid(gate)
    return np.concatenate([np.sqrt(1 - g) * l2norm(common), np.sqrt(g) * l2norm(uncommon)])


def gated_image(w, X):  # v_c = W_c mean(X)     v_u = max_r W_u x_r     h = sigmoid(a . mean(X) + b)
    x = X.mean(0)
    return gated(linear(w, "common", x), linear(w, "uncommon", X).max(0), linear(w, "gate", x)), None


def gated_text(w, tokens):  # t_c = GRU(words)     t_u = max_w M_u e_w, e fixed     g = sigmoid(c . mean(e) + d)
    e = w["vectors"][tokens]
    common, _ = gru_text(part(w, "common"), tokens)
    return gated(common, linear(w, "uncommon", e).max(0), linear(w, "gate", e.mean(0))), None


# ---- SAEM


def layer_norm(w, x):  # gamma (x - mean) / sqrt(variance + 1e-12) + beta, of one vector's own numbers
    return w["weight"] * (x - x.mean()) / np.sqrt(x.var() + 1e-12) + w["bias"]


def self_attention(w, X, heads, real):  # sum_m softmax_m(q_n . k_m / sqrt(d)) v_m of each head, over real m
    q, k, v = np.split(X @ w["in_proj_weight"].T + w["in_proj_bias"], 3, axis=1)
    answers = np.zeros_like(X)
    for head in np.split(np.arange(X.shape[1]), heads):
        for n in range(len(X)):
            a = softmax(np.array([q[n, head] @ k[m, head] / np.sqrt(len(head)) for m in range(real)]))
            answers[n, head] = sum(a[m] * v[m, head] for m in range(real))
    return linear(w, "out_proj", answers)


def transformer(w, X, heads, real):  # y = LN(x + attention(x))     LN(y + W_2 gelu(W_1 y)), gelu(x) = x Phi(x)
    y = each(partial(layer_norm, part(w, "norm1")), X + self_attention(part(w, "self_attn"), X, heads, real))
    inner = linear(w, "linear1", y)
    inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
    return each(partial(layer_norm, part(w, "norm2")), y + linear(w, "linear2", inner))


def attended_image(w, X):  # v = l2norm(mean_r transformer(X W + b)), heads of 16
    projected = linear(w, "project", X)
    return l2norm(transformer(part(w, "attend"), projected, projected.shape[1] // 16, len(X)).mean(0)), None


def learned_states(w, tokens, positions):  # H = transformer(word_n + [sin ; cos](n / 10000^(2k / E)))
    words = w["embedding.weight"][tokens + [0] * (positions - len(tokens))]
    size = words.shape[1]
    angles = [[n / 10_000 ** (k / size) for k in range(0, size, 2)] for n in range(positions)]
    return transformer(part(w, "attend"), words + np.hstack([np.sin(angles), np.cos(angles)]), 4, len(tokens))


def convolved_text(w, tokens, filled=None, states=learned_states):
    # t = l2norm(W_t [max_n relu(conv_k H)]_{k = 1, 2, 3})
    H = states(part(w, "states"), tokens, filled or len(tokens))
    strongest = []
    for layer in (0, 1, 2):
        for kernel, bias in zip(w[f"convolutions.{layer}.weight"], w[f"convolutions.{layer}.bias"], strict=True):
            width = layer + 1
            runs = [H[n : n + width] for n in range(len(H) - width + 1)]
            strongest.append(max(max(0, (kernel.T * run).sum() + bias) for run in runs))
    return l2norm(linear(w, "project", np.array(strongest))), None


def angular(v, t, image_of, steps):  # 0.5 * 0.1^steps log(1 + exp(max_n 4 (a + p) . n - 4 a . p)), both directions
    losses = []
    for i in range(len(v)):
        wrong = [j for j in range(len(v)) if image_of[j] != image_of[i]]
        for a, p, others in ((v[i], t[i], t), (t[i], v[i], v)):
            losses.append(np.log(1 + np.exp(max(4 * (a + p) @ others[j] - 4 * a @ p for j in wrong))))
    return 0.5 * 0.1**steps * sum(losses) / len(v)


# ---- VSRN and VSR++


def graph(w, F):  # A = (F W_theta)(F W_phi)^T / R     F* = F + BN((A F W_g) W_r)
    theta, phi, g = (linear(w, name, F) for name in ("theta", "phi", "message"))
    messages = [sum(theta[r] @ phi[s] / len(F) * g[s] for s in range(len(F))) for r in range(len(F))]
    return F + batch_norm(part(w, "norm"), linear(w, "update", np.array(messages)))


def graph_image(w, X, norm="features", read=True):  # V* = l2norm(GCN(X W_f + b))     v = l2norm(BN(GRU(V*)))
    F = linear(w, "project", X)
    for layer in (0, 1):
        F = graph(part(w, f"reason.layers.{layer}"), F)
    V = F / np.sqrt((F * F).sum(0)) if norm == "regions" else each(l2norm, F)  # the release: over regions
    scale = np.sqrt(V.shape[1] / len(V)) if norm == "scaled" else 1  # v = l2norm(BN(GRU(sqrt(D / R) V*)))
    return l2norm(batch_norm(part(w, "read.norm"), gru(part(w, "read.gru"), scale * V)[-1])) if read else None, V


def caption_loss(w, X, v, V, tokens):
    # e_r = w2 . tanh(W1 [E_r ; h])   a = softmax_r e   c = sum_r a_r E_r   h' = GRU([embedding(y_{t-1}) ; c], h)
    # - sum_t log softmax(W_out h')[y_t], E = GRU(V* W_s), first h the last of E
    E = gru(part(w, "reader"), linear(w, "squeeze", V))
    W1 = np.hstack([w["attend_regions.weight"], w["attend_state.weight"]])
    h, loss = E[-1], 0
    for before, y in pairwise(tokens):
        e = [w["attend_score.weight"][0] @ np.tanh(W1 @ [*r, *h] + w["attend_regions.bias"]) for r in E]
        context = softmax(np.array(e)) @ E
        h = gru_step(part(w, "cell"), np.concatenate([w["embedding.weight"][before], context]), h)
        loss -= np.log(softmax(linear(w, "output", h))[y])
    return loss


def fused(*pair, mu=2, local=attend):  # S = S_G + mu S_L
    return cosine(*pair) + mu * local(*pair)
