"""Makes the fixtures in layouts/: small random networks by PyTorch and diffusers, each with one input and output.

    pip install torch diffusers safetensors numpy
    python make_layouts.py PATH_TO_OPENAI_UNET.py

The argument is a Python file with a class `UNet(patch, model_channels, channel_mult, num_res_blocks, attention_ds,
num_heads, scale_shift, dropout)` whose tensors have improved-diffusion's names. The fixtures were made with torch 2.15.0
and diffusers 0.42.1; other versions give other random weights.
"""
import importlib.util, json, pathlib, sys
import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent / "layouts"
spec = importlib.util.spec_from_file_location("openai_unet", sys.argv[1])
openai = importlib.util.module_from_spec(spec)
spec.loader.exec_module(openai)


def randomise(net, seed, dtype):
    """Weights at which every layer matters, exactly representable in `dtype`."""
    torch.manual_seed(seed)
    for name, p in net.named_parameters():
        scale = 0.1 if p.dim() == 1 else 0.7 / p[0].numel() ** 0.5
        centre = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
        p.data = (centre + scale * torch.randn_like(p)).to(dtype).float()
    return net.eval()


def io(path, net, size, run):
    torch.manual_seed(7)
    x, t = torch.randn(2, 3, size, size), torch.tensor([3.0, 641.5])
    with torch.no_grad():
        y = run(net, x, t)[:, :3].contiguous()
    save_file({"x": x, "t": t, "y": y}, path)


def state(net, dtype):
    return {k: v.to(dtype).contiguous() for k, v in net.state_dict().items()}


plain = lambda net, x, t: net(x, t)
sampled = lambda net, x, t: net(x, t).sample

# diffusers with the attention names of before 0.12, in a .bin, as google/ddpm-cifar10-32 is kept; predicts x0.
folder = here / "diffusers-old-names"
folder.mkdir(parents=True, exist_ok=True)
config = dict(sample_size=8, in_channels=3, out_channels=3, center_input_sample=False, time_embedding_type="positional",
              freq_shift=1, flip_sin_to_cos=False, down_block_types=["DownBlock2D", "AttnDownBlock2D"],
              up_block_types=["AttnUpBlock2D", "UpBlock2D"], block_out_channels=[32, 32], layers_per_block=1,
              mid_block_scale_factor=1, downsample_padding=0, act_fn="silu", attention_head_dim=None,
              norm_num_groups=32, norm_eps=1e-6)
net = randomise(UNet2DModel(**config), 1, torch.float16)
renamed = {}
for key, value in state(net, torch.float16).items():
    for new, old in [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")]:
        key = key.replace(f".{new}.", f".{old}.")
    renamed[key] = value
torch.save(renamed, folder / "diffusion_pytorch_model.bin")
(folder / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel", "_diffusers_version": "0.1.1", **config}, indent=1))
(folder / "scheduler_config.json").write_text(json.dumps(
    {"_class_name": "DDPMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
     "num_train_timesteps": 1000, "prediction_type": "sample", "clip_sample": True}, indent=1))
io(folder / "io.safetensors", net, 8, sampled)

# diffusers as it is saved today: a pipeline, several heads, scale-shift norm, symmetric padding, (cos, sin).
folder = here / "diffusers-pipeline"
net = UNet2DModel(sample_size=8, block_out_channels=(32, 64), layers_per_block=1, attention_head_dim=16,
                  down_block_types=("AttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "AttnUpBlock2D"),
                  resnet_time_scale_shift="scale_shift", norm_num_groups=16)
randomise(net, 2, torch.bfloat16).to(torch.bfloat16).save_pretrained(folder / "unet")
(folder / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline", "unet": ["diffusers", "UNet2DModel"]}))
(folder / "scheduler").mkdir(exist_ok=True)
(folder / "scheduler/scheduler_config.json").write_text(json.dumps(
    {"_class_name": "DDPMScheduler", "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
     "num_train_timesteps": 1000, "prediction_type": "v_prediction"}, indent=1))
io(folder / "io.safetensors", net.float(), 8, sampled)

# OpenAI's .pt with a learned variance: six outputs.
small = dict(patch=1, model_channels=32, channel_mult=(1,), num_res_blocks=1, attention_ds=(), num_heads=2,
             scale_shift=True, dropout=0.0)
net = openai.UNet(**small)
net.out[2] = torch.nn.Conv2d(32, 6, 3, padding=1)
randomise(net, 3, torch.bfloat16)
torch.save(state(net, torch.bfloat16), here / "openai-learned-variance.pt")
io(here / "openai-learned-variance.io.safetensors", net, 8, plain)

# PyTorch's older container: raw weights, moving average and an optimiser's state in one file.
net, raw = randomise(openai.UNet(**small), 4, torch.float32), randomise(openai.UNet(**small), 5, torch.float16)
optimiser = torch.optim.AdamW(raw.parameters())
torch.save({"step": 17, "model": state(raw, torch.float16), "ema": state(net, torch.float32),
            "opt": optimiser.state_dict()}, here / "openai-ema-and-raw.pth", _use_new_zipfile_serialization=False)
io(here / "openai-ema-and-raw.io.safetensors", net, 8, plain)

# The DEIS-SN authors' pipeline: OpenAI's U-Net in a diffusers folder.
folder = here / "authors-pipeline"
(folder / "unet").mkdir(parents=True, exist_ok=True)
net = openai.UNet(patch=1, model_channels=32, channel_mult=(1, 1), num_res_blocks=1, attention_ds=(2,), num_heads=4,
                  scale_shift=True, dropout=0.3)
randomise(net, 6, torch.float16)
torch.save(state(net, torch.float16), folder / "unet/diffusion_pytorch_model.bin")
(folder / "unet/config.json").write_text(json.dumps(
    {"_class_name": "UNetModel", "_diffusers_version": "0.12.1", "attention_resolutions": "4", "channel_mult": "1,1",
     "model_channels": 32, "num_head_channels": -1, "num_heads": 4, "num_heads_upsample": -1, "num_res_blocks": 1,
     "out_channels": 3, "resblock_updown": False, "dropout": 0.3, "time_embedding_type": "positional", "in_channels": 3,
     "num_classes": None, "sample_size": 8, "use_checkpoint": False, "use_new_attention_order": False,
     "use_scale_shift_norm": True}, indent=1))
io(folder / "io.safetensors", net, 8, plain)
