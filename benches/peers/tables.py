"""What a pickle of torch modules holds, read as data: no class of the file is made and no source in it is run."""

import collections
import io
import pickle

import torch


class Thing:
    """An object of a class that is not there: what it was given, to be looked at."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __setstate__(self, state):
        self.state = state


def storage(data):
    """torch's legacy format of one storage, by its reader for untrusted files."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


class Reader(pickle.Unpickler):
    KNOWN = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
        ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
        ("torch.storage", "_load_from_bytes"): storage,
        # Its argument has the module's source and its attributes.
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): lambda meta: module(meta["state"]),
    }

    def find_class(self, where, name):
        return self.KNOWN.get((where, name), Thing)


def module(state):
    """Attributes, parameters and buffers of a module by their names, tensors as lists."""
    values = {name: value for name, value in state.items() if not name.startswith("_")}
    for kind in ("_parameters", "_buffers"):
        tensors = state.get(kind, {}).items()
        values |= {name: value if value is None else value.detach().double().tolist() for name, value in tensors}
    return values


def read(path):
    with open(path, "rb") as file:
        return Reader(file).load()
