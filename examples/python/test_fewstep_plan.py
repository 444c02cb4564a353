"""fewstep_plan.py against fewstep itself on a golden network, and inside a diffusers pipeline; needs torch and diffusers.

    just test-python      # or FEWSTEP=target/release/fewstep python examples/python/test_fewstep_plan.py
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch
from diffusers import DDPMPipeline, UNet2DModel
from diffusers.utils.torch_utils import randn_tensor

from fewstep_plan import Plan, PlanScheduler

ROOT = pathlib.Path(__file__).resolve().parents[2]
FEWSTEP = os.environ.get("FEWSTEP", ROOT / "target/release/fewstep")
# A UNet2DModel with random weights for images of 8 × 8, which predicts v; diffusers' linear schedule.
PIPELINE = ROOT / "crates/model/tests/golden/layouts/diffusers-pipeline"
ALPHAS_CUMPROD = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
SHAPE = (8, 3, 8, 8)
# Single precision through both programs' networks; DPM-Solver-3 weights noise predictions by hundreds in its first step.
BOUND, ROUNDING = 2e-5, 5

MODEL = f"""
title = "test"
seed = 0
samples = 8
metrics = ["ode_rmse"]
nfe = [NFE]
[model]
kind = "unet"
size = 8
weights = "{PIPELINE}"
[solution]
nfe = 20
samples = 8
"""


def fewstep(*arguments):
    done = subprocess.run([FEWSTEP, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def network():
    # As fewstep reads it: the scheduler beside it says v_prediction.
    return UNet2DModel.from_pretrained(PIPELINE / "unet").eval()


def epsilon_of(unet, plan):
    """ε from v at a level of the plan."""

    def epsilon(x, level):
        t = plan.timestep(level, ALPHAS_CUMPROD)
        alpha_bar = [1.0, *ALPHAS_CUMPROD.tolist()]
        below = min(int(t + 1), 999)
        ab = alpha_bar[below] + (t + 1 - below) * (alpha_bar[below + 1] - alpha_bar[below])
        with torch.no_grad():
            v = unet(x, torch.tensor(t, dtype=x.dtype)).sample
        return ab**0.5 * v + (1 - ab) ** 0.5 * x

    return epsilon


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.unet, cls.double = network(), network().double()
        cls.x_t = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        np.savez(cls.folder / "noise.npz", arr_0=cls.x_t.numpy())

    def plan(self, *arguments):
        path = self.folder / "plan.json"
        path.write_text(fewstep("plan", "--json", *arguments), encoding="utf-8")
        return path

    def ours(self, path, noise="noise.npz"):
        """fewstep's samples by a plan file."""
        nfe = json.loads(path.read_text())["nfe"]
        experiment, out = self.folder / "experiment.toml", self.folder / "samples.npz"
        method = f'\n[[method]]\nplan = "{path}"\nlabel = "mine"\n'
        experiment.write_text(MODEL.replace("NFE", str(nfe)) + method, encoding="utf-8")
        fewstep("sample", experiment, "--method", "mine", "--nfe", nfe, "--noise", self.folder / noise, "--out", out)
        return torch.from_numpy(np.load(out)["arr_0"])

    def same(self, name, found, expected, rounding=0.0):
        """`rounding`: what single precision itself makes of these samples."""
        difference = float((found - expected).abs().max())
        print(f"{name}: {difference:.1e} (rounding {rounding:.1e}) of samples up to {float(expected.abs().max()):.1f}")
        self.assertEqual(found.shape, expected.shape)
        self.assertLess(difference, max(BOUND, ROUNDING * rounding))

    def rounding(self, plan, x_t):
        """x_0 by the runner here in single precision, and how far that is from double precision."""
        single = plan.run(epsilon_of(self.unet, plan), x_t)
        double = plan.run(epsilon_of(self.double, plan), x_t.double())
        return single, float((single - double).abs().max())


METHODS = [
    ("ddim", []),
    ("deis", ["--order", 2]),
    # Score normalisation changes numbers alone: with any curve.
    ("deis-sn", ["--order", 2, "--normaliser", ROOT / "experiments/published/curves/xia-2023-cifar10.csv"]),
    ("ipndm", ["--order", 3, "--afs"]),
    ("dpm-solver", ["--order", 3]),
    ("dpm-solver++m", ["--order", 2]),
    ("unipc-bh2", ["--order", 3]),
    ("deis-unic", ["--order", 2]),
    ("pfdiff-1", []),
    ("rx-ddim-2", []),
]


class Run(Cases):
    def test_samples_are_those_of_fewstep_in_either_variable(self):
        for method, options in METHODS:
            for variable in ("x", "y"):
                path = self.plan("--method", method, *options, "--nfe", 6, "--variable", variable)
                plan = Plan.read(path)
                self.assertEqual(len(plan.calls), 6)
                found, rounding = self.rounding(plan, self.x_t)
                self.same(f"{method} in {variable}", found, self.ours(path), rounding)

    def test_a_plan_by_hand_with_levels_of_its_own(self):
        path = self.folder / "hand.json"
        steps = [
            {"a": 1.0, "c": [-30.0], "afs": 0.9998},
            {"a": 1.0, "c": [-8.0, -1.0], "at": 9.0, "input": 1.01},
            {"a": 0.5, "b": [0.02], "c": [-0.9], "at": 0.8},
        ]
        file = {"format": "fewstep-plan", "version": 1, "method": "hand", "variable": "y", "sigma": [40, 10, 1, 0.002], "start": 40}
        path.write_text(json.dumps(file | {"nfe": 2, "steps": steps}), encoding="utf-8")
        plan = Plan.read(path)
        self.same("by hand", plan.run(epsilon_of(self.unet, plan), self.x_t), self.ours(path))

    def test_what_it_cannot_run_is_refused(self):
        for change, message in [({"version": 2}, "version 2"), ({"threshold": "clip"}, "threshold 'clip'")]:
            file = json.loads(self.plan("--method", "ddim", "--nfe", 2).read_text()) | change
            with self.assertRaisesRegex(ValueError, message):
                Plan(file)


class Pipeline(Cases):
    def scheduler(self, path):
        return PlanScheduler.read(path, ALPHAS_CUMPROD, "v_prediction")

    def test_a_ddpm_pipeline_makes_the_samples_of_fewstep(self):
        # The noise that the pipeline draws.
        x_t = randn_tensor(SHAPE, generator=torch.Generator().manual_seed(3))
        np.savez(self.folder / "drawn.npz", arr_0=x_t.numpy())
        for method, options in METHODS:
            if "--afs" in options:
                continue
            for variable in ("x", "y"):
                path = self.plan("--method", method, *options, "--nfe", 6, "--variable", variable)
                pipeline = DDPMPipeline(self.unet, self.scheduler(path))
                pipeline.set_progress_bar_config(disable=True)
                made = pipeline(
                    batch_size=len(x_t), num_inference_steps=6, generator=torch.Generator().manual_seed(3), output_type="np"
                ).images
                expected = (self.ours(path, "drawn.npz") / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
                _, rounding = self.rounding(Plan.read(path), x_t)
                self.same(f"DDPMPipeline, {method} in {variable}", torch.from_numpy(made), expected, rounding)

    def test_pipelines_that_scale_inputs_run_plans_that_begin_elsewhere(self):
        path = self.plan("--method", "ipndm", "--order", 3, "--nfe", 6, "--variable", "y", "--afs")
        scheduler = self.scheduler(path)
        scheduler.set_timesteps(6)
        x = self.x_t * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            with torch.no_grad():
                v = self.unet(scheduler.scale_model_input(x, t), t).sample
            x = scheduler.step(v, t, x).prev_sample
        self.same("AFS through scale_model_input", x, self.ours(path))
        # A DDPMPipeline does not call it.
        pipeline = DDPMPipeline(self.unet, scheduler)
        pipeline.set_progress_bar_config(disable=True)
        with self.assertRaisesRegex(ValueError, "scale_model_input"):
            pipeline(batch_size=1, num_inference_steps=6)

    def test_a_scheduler_says_what_it_needs(self):
        path = self.plan("--method", "ddim", "--nfe", 4)
        with self.assertRaisesRegex(ValueError, "num_inference_steps is 10; the plan has 4"):
            self.scheduler(path).set_timesteps(10)
        with self.assertRaisesRegex(ValueError, "alphas_cumprod is missing"):
            PlanScheduler.read(path, prediction_type="v_prediction")
        with self.assertRaisesRegex(ValueError, "the plan is for schedule 'linear'"):
            PlanScheduler.read(path, ALPHAS_CUMPROD**0.9)
        # Timesteps are known for some schedules only, with or without the network's numbers.
        for schedule in ("edm", "continuous"):
            other = self.plan("--method", "ddim", "--nfe", 4, "--schedule", schedule)
            for given in (None, ALPHAS_CUMPROD):
                with self.assertRaisesRegex(ValueError, f"in x on schedule '{schedule}'.*--variable y"):
                    PlanScheduler.read(other, given)
            with self.assertRaisesRegex(ValueError, "--variable y"):
                Plan.read(other).timestep(0.5, ALPHAS_CUMPROD)
        # Of one that a file cannot name plans are in y anyway, and fit a network that has its noise levels.
        other = self.plan("--method", "ddim", "--nfe", 4, "--schedule", "simple-diffusion", "--size", 32)
        self.assertTrue(Plan.read(other).y)
        path = self.plan("--method", "ddim", "--nfe", 4)
        for wrong, said in ((ALPHAS_CUMPROD[:500], "has 500 entries"), (ALPHAS_CUMPROD**0.9, "the plan is for schedule 'linear'")):
            with self.assertRaisesRegex(ValueError, said):
                PlanScheduler.read(path, wrong)
            with self.assertRaisesRegex(ValueError, said):
                Plan.read(path).timestep(0.5, wrong)
        # In y it fits any, up to the network's own noise level, of single precision or not.
        path = self.plan("--method", "ddim", "--nfe", 4, "--variable", "y")
        self.assertAlmostEqual(float(PlanScheduler.read(path, ALPHAS_CUMPROD.float()).timesteps[0]), 999, delta=1e-4)
        with self.assertRaisesRegex(ValueError, "over the network's"):
            PlanScheduler.read(path, ALPHAS_CUMPROD**0.9)

    def test_it_is_saved_and_loaded_as_any_scheduler(self):
        scheduler = self.scheduler(self.plan("--method", "deis", "--nfe", 5))
        scheduler.save_pretrained(self.folder / "saved")
        loaded = PlanScheduler.from_pretrained(self.folder / "saved")
        self.assertEqual(loaded.plan.file, scheduler.plan.file)
        self.assertTrue(torch.equal(loaded.timesteps, scheduler.timesteps))


class Conformance(unittest.TestCase):
    """docs/conformance.md, as it stands there."""

    def test_the_pages_script_says_that_samples_agree(self):
        text = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
        (experiment,), (script,) = (re.findall(rf"```{kind}\n(.*?)```", text, re.S) for kind in ("toml", "python"))
        (command,) = re.findall(r"^    fewstep (sample conformance.toml .*)$", text, re.M)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "crates").symlink_to(ROOT / "crates")
            (folder / "conformance.toml").write_text(experiment, encoding="utf-8")
            for program in ([pathlib.Path(FEWSTEP).resolve(), *command.split()], [sys.executable, "-c", script]):
                done = subprocess.run(program, cwd=folder, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
        found = re.fullmatch(r"largest difference (\S+), of numbers up to (\S+)\n", done.stdout)
        self.assertIsNotNone(found, done.stdout)
        difference, largest = map(float, found.groups())
        print(f"docs/conformance.md: {done.stdout.strip()}")
        self.assertGreater(largest, 100)
        self.assertLess(difference, 1e-5 * largest)


if __name__ == "__main__":
    unittest.main()
