"""One more fault for every cause."""

import torch
from fresh_faults import fresh_case, scaled
from fresh_nets import Apply, Recurrent, fresh, graph, perceptron, tokens
from torch import nn
from torch.nn import functional as F


@fresh_case("non_finite", "perceptron")
def exponential(name):
    _, batch, loss = fresh(name)
    return perceptron(act=lambda: Apply(lambda x: torch.exp(60 * x))), batch, loss, None, "4"


@fresh_case("exploding_activations", "llama")
def loud_words(name):
    net, batch, loss = fresh(name)
    net.model.embed_tokens.weight.data *= 1e8
    return net, batch, loss, None, "model.embed_tokens"


@fresh_case("fp16_overflow", "torch_encoder")
def loud_stem(name):
    net, (x, labels), loss = fresh(name)
    net[0].weight.data *= 4e4 / (net[0](x) - net[0].bias).abs().max()
    return net.half(), (x.half(), labels), loss, None, "0"


@fresh_case("dead_units", "sage")
def low_biases(name):
    net, batch, loss = fresh(name, layers=3)
    net.convs[1].lin_l.bias.data[3:] = -30.0
    return net, batch, loss, None, "convs.1"


@fresh_case("saturated_units", "sage")
def features_of_thousands(name):
    net, (x, *rest), loss = fresh(name, act=torch.tanh)
    return net, (3000 * x, *rest), loss, None, None


@fresh_case("vanishing_gradients", "rnn")
def short_memory(name):
    net = Recurrent(nn.RNNCell)
    net.cell.weight_hh.data *= 0.2
    x, labels = tokens()
    return net, (x.repeat(1, 5, 1), labels), fresh("gru")[2], None, "cell"


@fresh_case("exploding_gradients", "perceptron")
def steep_layers(name):
    net, batch, loss = fresh(name, layers=18, act=nn.ReLU)
    return scaled(net, 4.5), batch, loss, None, None


@fresh_case("idle_branch", "llama")
def silent_feedforward(name):
    net, batch, loss = fresh(name)
    net.model.layers[1].mlp.down_proj.weight.requires_grad_(False).zero_()
    return net, batch, loss, None, "model.layers.1.mlp"


@fresh_case("stream_growth", "gat")
def loud_attention(name):
    net, batch, loss = fresh(name, layers=10)
    return scaled(net, 4), batch, loss, None, None


@fresh_case("broken_identity", "gat")
def detached_stream(name):
    net, batch, loss = fresh(name)
    net.way = lambda x, y: x.detach() + F.elu(y)
    return net, batch, loss, None, None


@fresh_case("missing_add", "gat")
def one_sum_forgotten(name):
    net, batch, loss = fresh(name, layers=5)
    forgetful = net.convs[2]
    forgetful.register_forward_hook(lambda *_: setattr(net, "forgets", True))

    def way(x, y):
        skipped, net.forgets = getattr(net, "forgets", False), False
        return F.elu(y) if skipped else x + F.elu(y)

    net.way = way
    return net, batch, loss, None, "convs.2"


@fresh_case("double_add", "llama")
def added_by_a_hook(name):
    net, batch, loss = fresh(name)
    net.model.layers[1].register_forward_hook(lambda layer, inputs, out: out + inputs[0])
    return net, batch, loss, None, "model.layers.1"


@fresh_case("collapsed_features", "gin")
def mean_of_all_nodes(name):
    net, batch, loss = fresh(name, layers=4)
    net.way = lambda x, y: (x + y).mean(0, keepdim=True).expand_as(x)
    return net, batch, loss, None, None


@fresh_case("stale_batchnorm", "dense")
def one_norm_moved(name):
    net, batch, loss = fresh(name)
    with torch.no_grad():
        for _ in range(60):
            loss(net, batch)
    norm = net.layers[2][0]
    norm.running_mean -= 3 * norm.running_var.sqrt()
    return net.eval(), batch, loss, None, "layers.2.0"


@fresh_case("tiny_batch_norm", "gin")
def nine_nodes(name):
    net, _, loss = fresh(name, layers=3)
    return net, graph(9), loss, None, None


@fresh_case("bias_before_norm", "mobile")
def bias_of_the_stem(name):
    net, batch, loss = fresh(name)
    net[0].bias = nn.Parameter(torch.zeros(len(net[0].weight)))
    return net, batch, loss, None, "0"


@fresh_case("decayed_norms", "unet2d")
def all_decay(name):
    net, batch, loss = fresh(name)
    return net, batch, loss, torch.optim.AdamW(net.parameters(), 1e-4), None


@fresh_case("unused_parameters", "convnext")
def parameter_of_old(name):
    net, batch, loss = fresh(name)
    net[2].register_parameter("old", nn.Parameter(torch.ones(3)))
    return net, batch, loss, None, "2"


@fresh_case("equal_units", "convnext")
def one_unit_repeated(name):
    net, batch, loss = fresh(name, gamma=1.0)
    _, inner, _, outer = net[3].branch[1].parts
    inner.weight.data[:] = inner.weight.data[:1]
    inner.bias.data.zero_()
    outer.weight.data[:] = outer.weight.data[:, :1]
    return net, batch, loss, None, "3.branch.1.parts.1"


@fresh_case("step_too_large", "llama")
def plain_descent(name):
    net, batch, loss = fresh(name)
    return net, batch, loss, torch.optim.SGD(net.parameters(), 300.0), None


@fresh_case("step_too_small", "dense")
def decayed_away(name):
    net, batch, loss = fresh(name)
    return net, batch, loss, torch.optim.Adam(net.parameters(), 1e-11), None
