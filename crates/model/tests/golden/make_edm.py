"""Makes the fixtures edm-*.pkl in layouts/: small random networks by EDM's own code, each with inputs and outputs.

    pip install torch numpy scipy requests safetensors
    python make_edm.py PATH_TO_EDM

The argument is a checkout of github.com/NVlabs/edm, whose licence is non-commercial: nothing of it is kept here. Its pickles
carry the source of the module that a network's classes are in; here that is replaced by an empty string. The fixtures were made
at commit 008a4e5 with torch 2.15.0; other versions give other random weights.
"""
import collections, pathlib, pickle, sys
import torch
from safetensors.torch import save_file

sys.path.insert(0, sys.argv[1])
from training import networks

here = pathlib.Path(__file__).parent / "layouts"


def randomise(net, seed, dtype):
    """Weights at which every layer matters, exactly representable in `dtype`."""
    torch.manual_seed(seed)
    for name, p in net.named_parameters():
        scale = 0.1 if p.dim() == 1 else 0.7 / p[0].numel() ** 0.5
        centre = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
        p.data = (centre + scale * torch.randn_like(p)).to(dtype)
        p.requires_grad_(False)
    return net.eval()


def save(name, net, protocol, sigmas, labels):
    for part in net.modules():
        if hasattr(type(part), "_orig_module_src"):
            type(part)._orig_module_src = ""
    with open(here / f"{name}.pkl", "wb") as f:
        pickle.dump({"ema": net, "loss_fn": None, "augment_pipe": None, "dataset_kwargs": {"path": ""}}, f, protocol)
    torch.manual_seed(7)
    size = net.img_resolution
    noise = torch.randn(len(sigmas), 3, size, size)
    sigma = torch.tensor(sigmas)
    # States of the variance-preserving process that belong to these levels, and the noise that the denoised image says is in them.
    y = (noise * (sigma**2 + 0.25).sqrt().reshape(-1, 1, 1, 1)).double()
    x = y / (1 + sigma.double() ** 2).sqrt().reshape(-1, 1, 1, 1)
    one_hot = None if labels is None else torch.nn.functional.one_hot(torch.tensor(labels), net.label_dim)
    with torch.no_grad():
        denoised = net(y.float(), sigma, one_hot).double()
        # The inner network apart, in single precision as everywhere.
        label = torch.tensor([-0.3, 0.9])
        output = net.model(noise[:2], label, None if one_hot is None else one_hot[:2].float())
    epsilon = (y - denoised) / sigma.double().reshape(-1, 1, 1, 1)
    tensors = {"sigma": sigma, "x": x.float(), "epsilon": epsilon.float(), "input": noise[:2], "label": label, "output": output}
    if labels is not None:
        tensors["class"] = torch.tensor(labels, dtype=torch.float32)
    save_file({key: value.contiguous() for key, value in tensors.items()}, here / f"{name}.io.safetensors")


song = dict(model_type="SongUNet", embedding_type="positional", encoder_type="standard", decoder_type="standard",
            channel_mult_noise=1, resample_filter=[1, 1])

# As edm-cifar10-32x32-uncond-vp: augmentation labels, which sampling does not use; the first level twice the base width; attention
# at the middle resolution of three; fewer groups than 32, by at least four channels each; protocol 4, single precision.
net = networks.EDMPrecond(img_resolution=8, img_channels=3, label_dim=0, sigma_data=0.5, use_fp16=False, augment_dim=9,
                          model_channels=8, channel_mult=[2, 1, 2], num_blocks=1, attn_resolutions=[4], dropout=0.13, **song)
save("edm-uncond", randomise(net, 1, torch.float32), 4, [0.002, 0.05, 0.7, 3.0, 80.0], None)

# Song et al.'s weights in the same container, with class labels; half precision, protocol 3, and the ordered dictionaries that
# PyTorch had in its modules when EDM's files were made.
net = networks.VPPrecond(img_resolution=8, img_channels=3, label_dim=5, augment_dim=0, model_channels=8, channel_mult=[1, 2],
                         num_blocks=2, attn_resolutions=[8], dropout=0.1, **song)
for part in net.modules():
    for kind in ["_parameters", "_buffers", "_modules"]:
        part.__dict__[kind] = collections.OrderedDict(part.__dict__[kind])
save("edm-vp-classes", randomise(net, 2, torch.float16), 3, [0.3, 0.7, 3.0, 80.0], [3, 0, 4, 1])

# Tensors that are views of others, and one that is a thousand times the same number.
x = torch.arange(12, dtype=torch.float64).reshape(3, 4)
tensors = {"whole": x, "transposed": x.t(), "part": x[1:, :2], "half": x.bfloat16()[0], "one": torch.tensor(2.5),
           "expanded": torch.ones(1).expand(1000), "whole numbers": torch.arange(3)}
with open(here / "pickled-tensors.pkl", "wb") as f:
    pickle.dump(tensors, f, 4)
