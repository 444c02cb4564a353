"""pytorch-fid's own network, with weights from the TorchScript archive that `fewstep fetch inception` keeps.

pytorch-fid would fetch its weights itself, from where not everybody gets; those of the archive are the same numbers. The last
layer is not among them and is not used.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytorch_fid.inception as peer
import torch
from torch import Tensor, nn
from torchvision.models.inception import BasicConv2d


def load(path: Path) -> nn.Module:
    """pytorch-fid's `InceptionV3` up to the 2048 pool3 features."""
    fetching = mock.patch.object(peer, "load_state_dict_from_url", lambda *_, **__: {})
    loading = mock.patch.object(nn.Module, "load_state_dict", lambda *_, **__: None)
    with fetching, loading:
        network = peer.InceptionV3([peer.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    arrays = _arrays(path)
    for layer in network.modules():
        if isinstance(layer, BasicConv2d):
            # The archive has no scale: it is 1.
            layer.bn.weight.fill_(1)
            for tensor in (layer.conv.weight, layer.bn.bias, layer.bn.running_mean, layer.bn.running_var):
                tensor.copy_(torch.from_numpy(next(arrays)).reshape(tensor.shape))
    if next(arrays, None) is not None:
        raise ValueError(f"{path}: more arrays than pytorch-fid's network has")
    return network.eval()


def features(network: nn.Module, images: Tensor) -> Tensor:
    """Rows `[n, 2048]` of images `[n, 3, height, width]` with values 0 to 1, as pytorch-fid's `get_activations` makes them."""
    return network(images)[0].squeeze(3).squeeze(2)


def _arrays(path: Path) -> Iterator[np.ndarray]:
    """The archive's arrays in their order: of every convolution weight, shift, mean and variance, little-endian f32."""
    with zipfile.ZipFile(path) as archive:
        names = {name.rsplit("/", 1)[1]: name for name in archive.namelist() if "/data/" in name}
        for index in range(len(names)):
            yield np.frombuffer(archive.read(names[str(index)]), "<f4").copy()
