"""import_plan.py on files as their authors' programs write them: pickles of modules of EDM's `persistence`, whose class and source are
not looked at. Made here, since those of the authors carry no licence; needs torch.

    just test-python      # or python benches/peers/test_tables.py
"""

import json
import pathlib
import pickle
import subprocess
import sys
import tempfile
import types
import unittest

import torch

import plans

HERE = pathlib.Path(__file__).resolve().parent
# What nobody is to run: in the file as the source of the module's class.
SOURCE = "raise SystemExit('the source in the file was run')"


class Stored:
    """A module as `persistence` pickles it: one call with its source, the name of its class and its attributes."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": "Predictor", "state": self.state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


class Imports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        # To be named in the files alone.
        module = types.ModuleType("torch_utils.persistence")
        exec("def _reconstruct_persistent_obj(meta): raise SystemExit('a class of the file was made')", module.__dict__)
        module._reconstruct_persistent_obj.__module__ = module.__name__
        sys.modules |= {"torch_utils": types.ModuleType("torch_utils"), module.__name__: module}

    def imported(self, kind, table, *options):
        path = self.folder / "network-snapshot-000010.pkl"
        path.write_bytes(pickle.dumps(table))
        command = [sys.executable, HERE / "import_plan.py", kind, path, *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def dyweight(self, **changes):
        state = {
            "_parameters": {
                "hybrid_weights": torch.nn.Parameter(torch.tensor(plans.ipndm(5, 3))),
                "t_scale": torch.nn.Parameter(torch.ones(4)),
            },
            "_buffers": {"mask": torch.tril(torch.ones(5, 5))},
            "_modules": {},
            "num_steps": 6,
            "afs": True,
            "guidance_type": None,
            "guidance_rate": 0.0,
        } | changes
        loss = Stored({"schedule_type": "polynomial", "schedule_rho": 7.0, "sigma_min": 0.002, "sigma_max": 80.0})
        return {"predictor": Stored(state), "loss_fn": loss}

    def test_dyweights_file_is_the_plan_of_its_numbers(self):
        done = self.imported("dyweight", self.dyweight(), "--label", "mine")
        self.assertEqual(done.returncode, 0, done.stderr)
        made = json.loads(done.stdout)
        # The file's numbers are in single precision.
        levels = plans.schedule("polynomial", 6)
        single = torch.tensor(plans.ipndm(5, 3)).double().tolist()
        expected = plans.dyweight(single, [1.0] * 4, levels, afs=True, method="mine")
        self.assertTrue(made.pop("provenance")["table"].endswith("000010.pkl"))
        self.assertEqual(made, expected)
        self.assertEqual((made["nfe"], len(made["steps"])), (4, 5))

    def test_the_mask_takes_weights_out(self):
        mask = torch.tril(torch.ones(5, 5)) * (torch.arange(5) > 0)
        done = self.imported("dyweight", self.dyweight(_buffers={"mask": mask}))
        steps = json.loads(done.stdout)["steps"]
        # The column of d_0 is 0: the first step moves nothing, and the third one uses two predictions.
        self.assertEqual((steps[0]["c"], len(steps[2]["c"])), ([0.0], 2))

    def test_a_grids_ends_are_the_options_before_the_tables(self):
        done = self.imported("dyweight", self.dyweight(), "--sigma-min", "0.01")
        self.assertAlmostEqual(json.loads(done.stdout)["sigma"][-1], 0.01, delta=1e-15)
        done = self.imported("dyweight", self.dyweight(), "--levels", "80 3 0.002")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--levels has 3 levels; the table has 6", done.stderr)

    def test_epds_parameters_at_0_are_dpm_solver_2s_midpoint(self):
        zero = torch.nn.Parameter(torch.zeros(2, 1))
        names = ("r_params", "weight_s", "scale_dir_params", "scale_time_params")
        state = {
            "_parameters": dict.fromkeys(names, zero),
            "num_steps": 3,
            "schedule_type": "logsnr",
            "schedule_rho": None,
            "scale_dir": 0.05,
            "scale_time": 0.05,
            "fcn": False,
            "afs": False,
            "sampler_stu": "epd",
        }
        done = self.imported("epd", {"model": Stored(state)})
        self.assertEqual(done.returncode, 0, done.stderr)
        made = json.loads(done.stdout)
        expected = plans.epd([[(0.5, 1.0, 1.0, 1.0)]] * 2, plans.schedule("logsnr", 3))
        self.assertEqual((made["sigma"], made["steps"]), (expected["sigma"], expected["steps"]))

    def test_guidance_is_refused(self):
        done = self.imported("dyweight", self.dyweight(guidance_type="cfg", guidance_rate=7.5))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("a plan has no guidance", done.stderr)


if __name__ == "__main__":
    unittest.main()
