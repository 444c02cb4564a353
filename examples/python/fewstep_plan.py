"""Runs fewstep's plan files (`fewstep plan --json`, docs/plan-format.md) in PyTorch, on any noise predictor:

    plan = Plan.read("deis-sn.json")
    x_0 = plan.run(lambda x, level: unet(x, plan.timestep(level, alphas_cumprod)).sample, torch.randn(16, 3, 32, 32))

and as a scheduler for diffusers' pipelines:

    pipeline = DDPMPipeline(unet, PlanScheduler.read("deis-sn.json"))
    pipeline(num_inference_steps=10, batch_size=16)

State k + 1 is a · state_k + Σ_j b_j state_{k-1-j} + Σ_j c_j ε_{k-j} + noise · z, and state 0 is start · x_T with x_T of variance 1. In
variable x states are those of a variance-preserving process and levels are times τ in [0, 1]; in variable y = x/√ᾱ levels are
σ = √((1 - ᾱ)/ᾱ). The network sees variance-preserving inputs either way.
"""

import json
import math

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor


# ᾱ at timesteps 249 and 499 of the schedules that diffusers has too.
SCHEDULES = {"linear": (0.5240853, 0.0785872), "scaled-linear": (0.6754321, 0.2776694), "cosine": (0.8470122, 0.4938435)}


class Plan:
    def __init__(self, file):
        if (file.get("format"), file.get("version")) != ("fewstep-plan", 1):
            raise ValueError(f"format {file.get('format')!r}, version {file.get('version')!r}; expected 'fewstep-plan', 1")
        if file.get("threshold", "none") != "none":
            raise ValueError(f"threshold {file['threshold']!r}: thresholds are fewstep's alone")
        self.file, self.steps, self.y = file, file["steps"], file["variable"] == "y"
        self.levels = file["sigma" if self.y else "tau"]
        self.start = file.get("start", math.sqrt(1 + self.levels[0] ** 2) if self.y else 1.0)
        # Steps that call the network, and the levels of the calls.
        self.calls = [k for k, step in enumerate(self.steps) if "afs" not in step]
        self.at = [self.level(k) for k in self.calls]

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as file:
            return Plan(json.load(file))

    def scale(self, level):
        """√ᾱ in variable y: what makes a state the network's."""
        return 1 / math.sqrt(1 + level * level) if self.y else 1.0

    def timestep(self, level, alphas_cumprod):
        """The timestep τT - 1, which may be fractional, of a network with these T alphas_cumprod; ᾱ is linear in between.

        A plan in x has T = 1000, and is held to alphas_cumprod as `check` says."""
        if not self.y:
            self.check(alphas_cumprod)
            return 1000 * level - 1
        alpha_bar = [1.0, *torch.as_tensor(alphas_cumprod).double().tolist()]
        # The last ᾱ itself, where alphas_cumprod are of single precision.
        wanted = 1 / (1 + level * level)
        wanted = alpha_bar[-1] if abs(wanted - alpha_bar[-1]) < 1e-3 * alpha_bar[-1] else wanted
        above = next((k for k, value in enumerate(alpha_bar) if value <= wanted), None)
        if above is None:
            raise ValueError(f"level {level} is over the network's {math.sqrt(1 / alpha_bar[-1] - 1)}")
        if above == 0:
            return -1.0
        return above - 1 + (alpha_bar[above - 1] - wanted) / (alpha_bar[above - 1] - alpha_bar[above]) - 1

    def check(self, alphas_cumprod=None):
        """A plan in x is for its schedule's numbers: at timesteps 249 and 499 the network's are held to them, where they are given.

        Without alphas_cumprod it is unchecked whether the network was trained on the plan's schedule, and with T = 1000."""
        if self.y:
            return
        schedule = self.file["schedule"]
        if schedule not in SCHEDULES:
            known = ", ".join(SCHEDULES)
            raise ValueError(f"the plan is in x on schedule '{schedule}', and timesteps are known for {known}: print it with --variable y")
        if alphas_cumprod is None:
            return
        expected = SCHEDULES[schedule]
        if len(alphas_cumprod) != 1000:
            raise ValueError(f"the plan is for T = 1000 of schedule '{self.file['schedule']}'; alphas_cumprod has {len(alphas_cumprod)} entries")
        found = tuple(float(alphas_cumprod[k]) for k in (249, 499))
        if any(abs(f / e - 1) > 1e-3 for f, e in zip(found, expected)):
            raise ValueError(f"the plan is for schedule '{self.file['schedule']}'; alphas_cumprod at 249 and 499 are {found}, not {expected}")

    def input(self, k, state):
        """What the network sees in step k."""
        return state * (self.scale(self.level(k)) * self.steps[k].get("input", 1.0))

    def level(self, k):
        """Where step k calls the network."""
        return self.steps[k].get("at", self.levels[k])

    def result(self, state):
        """x_0, a variance-preserving state at the last level."""
        return state * self.scale(self.levels[-1])

    def advance(self, k, states, predictions, noise=None):
        """State k + 1, from states 0 … k and predictions 0 … k."""
        step = self.steps[k]
        terms = [step["a"] * states[k]]
        terms += [b * states[k - 1 - j] for j, b in enumerate(step.get("b", [])) if b != 0]
        terms += [c * predictions[k - j] for j, c in enumerate(step["c"]) if c != 0]
        if step.get("noise", 0.0) != 0:
            terms.append(step["noise"] * noise())
        return sum(terms[1:], terms[0])

    def run(self, epsilon, x_t, generator=None):
        """x_0 from x_T of variance 1; `epsilon(x, level)` predicts the noise in x at a level of the file's variable."""
        states, predictions = [self.start * x_t], []
        for k, step in enumerate(self.steps):
            analytic = "afs" in step
            predictions.append(step["afs"] * x_t if analytic else epsilon(self.input(k, states[k]), self.level(k)))
            draw = lambda: randn_tensor(x_t.shape, generator=generator, device=x_t.device, dtype=x_t.dtype)
            states.append(self.advance(k, states, predictions, draw))
        return self.result(states[-1])


class PlanScheduler(SchedulerMixin, ConfigMixin):
    """A plan between diffusers' pipeline and its network.

    What the pipeline carries is what the network sees next; states are kept here. The network must predict ε
    (`prediction_type="epsilon"`) or v (`"v_prediction"`) or x_0 (`"sample"`). Give the network's alphas_cumprod: without them a
    plan in x is taken to be for the network's schedule, with T = 1000, and neither is checked.
    """

    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(self, plan=None, alphas_cumprod=None, prediction_type="epsilon"):
        if plan is None:
            raise ValueError("plan is missing; expected the object in a plan file")
        if prediction_type not in ("epsilon", "v_prediction", "sample"):
            raise ValueError(f"prediction_type is {prediction_type!r}; expected epsilon, v_prediction or sample")
        self.plan = Plan(plan)
        if alphas_cumprod is None and (self.plan.y or prediction_type != "epsilon"):
            raise ValueError("alphas_cumprod is missing: a plan in y, and predictions of v or x_0, need the network's")
        self.plan.check(alphas_cumprod)
        if any(step.get("noise") for step in self.plan.steps[: self.plan.calls[0]]):
            raise ValueError("steps before the first call draw noise; the first call's input would not be a multiple of x_T")
        self.set_timesteps()

    @staticmethod
    def read(path, alphas_cumprod=None, prediction_type="epsilon"):
        alphas_cumprod = None if alphas_cumprod is None else torch.as_tensor(alphas_cumprod).double().tolist()
        return PlanScheduler(Plan.read(path).file, alphas_cumprod, prediction_type)

    def set_timesteps(self, num_inference_steps=None, device=None):
        nfe = len(self.plan.calls)
        if num_inference_steps not in (None, nfe):
            raise ValueError(f"num_inference_steps is {num_inference_steps}; the plan has {nfe}")
        alphas_cumprod = self.config.alphas_cumprod
        self.num_inference_steps = nfe
        self.timesteps = torch.tensor([self.plan.timestep(at, alphas_cumprod) for at in self.plan.at], device=device)
        self.states, self.predictions, self.call, self.scaled = [], [], 0, False

    def first_input(self):
        """The first call's input in units of x_T: what is before it is linear in x_T."""
        states, predictions = [self.plan.start], []
        for k in range(self.plan.calls[0]):
            predictions.append(self.plan.steps[k]["afs"])
            states.append(self.plan.advance(k, states, predictions))
        return self.plan.input(self.plan.calls[0], states[-1])

    def scale_model_input(self, sample, timestep=None):
        if self.call > 0:
            return sample
        self.scaled = True
        return sample * self.first_input()

    def step(self, model_output, timestep, sample, generator=None, return_dict=True, **_):
        if self.call == len(self.plan.calls):
            raise ValueError("the plan is at its end; set_timesteps begins it again")
        if self.call == 0:
            # `sample` is x_T here.
            if not self.scaled and abs(self.first_input() - 1) > 1e-6:
                raise ValueError("this plan's first call is not at x_T: it needs a pipeline that calls scale_model_input")
            self.states, self.x_t = [self.plan.start * sample], sample
            self._analytic(generator)
        k = self.plan.calls[self.call]
        seen = self.plan.input(k, self.states[k])
        self.predictions.append(self._epsilon(model_output, seen, k))
        self._advance(k, generator)
        self.call += 1
        self._analytic(generator)
        last = self.call == len(self.plan.calls)
        following = self.plan.result(self.states[-1]) if last else self.plan.input(len(self.states) - 1, self.states[-1])
        return SchedulerOutput(prev_sample=following) if return_dict else (following,)

    def _analytic(self, generator):
        """The steps without a call that come next."""
        while (k := len(self.states) - 1) < len(self.plan.steps) and "afs" in self.plan.steps[k]:
            self.predictions.append(self.plan.steps[k]["afs"] * self.x_t)
            self._advance(k, generator)

    def _advance(self, k, generator):
        like = self.states[k]
        draw = lambda: randn_tensor(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        self.states.append(self.plan.advance(k, self.states, self.predictions, draw))

    def _epsilon(self, output, seen, k):
        if self.config.prediction_type == "epsilon":
            return output
        t = float(self.timesteps[self.call])
        alpha_bar = [1.0, *self.config.alphas_cumprod]
        # τT; ᾱ is linear between whole ones.
        place = max(t + 1, 0.0)
        below = min(int(place), len(alpha_bar) - 2)
        ab = alpha_bar[below] + (place - below) * (alpha_bar[below + 1] - alpha_bar[below])
        if self.config.prediction_type == "v_prediction":
            return math.sqrt(ab) * output + math.sqrt(1 - ab) * seen
        return (seen - math.sqrt(ab) * output) / math.sqrt(1 - ab)

    def __len__(self):
        return 1000 if self.config.alphas_cumprod is None else len(self.config.alphas_cumprod)
