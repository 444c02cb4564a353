"""What the importers make, held to fewstep's own plans where a published table is another name of a method of its own. Standard
library alone; FEWSTEP names the binary: `cargo test --test command importers` runs this.
"""

import json
import math
import os
import subprocess
import unittest

import plans


def printed(*arguments):
    command = [os.environ["FEWSTEP"], "plan", "--schedule", "continuous", "--json", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def level(tau):
    """sigma/sqrt(alpha_bar) of Song et al.'s schedule with rates 0.1 and 20."""
    return math.sqrt(math.expm1(0.1 * tau + 0.5 * 19.9 * tau * tau))


def in_y(plan):
    """A plan in x as one in y = x/sqrt(alpha_bar): (sigma, steps of a, b, c)."""
    sigma = [level(tau) for tau in plan["tau"]]
    alpha = [1 / math.sqrt(1 + s * s) for s in sigma]
    steps = []
    for k, step in enumerate(plan["steps"]):
        b = [value * alpha[k - 1 - j] / alpha[k + 1] for j, value in enumerate(step.get("b", []))]
        steps.append((step["a"] * alpha[k] / alpha[k + 1], b, [c / alpha[k + 1] for c in step["c"]]))
    return sigma, steps


def numbers(a, b, c, length):
    return [a, *b, *[0.0] * (length - len(b)), *c, *[0.0] * (length - len(c))]


class Identities(unittest.TestCase):
    def same(self, made, sigma, steps, bound):
        length, worst = len(steps) + 1, 0.0
        for found, expected in zip(made["sigma"], sigma, strict=True):
            worst = max(worst, abs(found - expected) / max(expected, 1e-3))
        for found, expected in zip(made["steps"], steps, strict=True):
            left = numbers(found["a"], found.get("b", []), found["c"], length)
            right = numbers(*expected, length)
            worst = max(worst, max(map(abs, (l - r for l, r in zip(left, right)))) / max(map(abs, right)))
        print(f"{made['method']}: {worst:.1e}")
        self.assertLess(worst, bound)

    def test_dyweights_initial_table_is_ipndm_3(self):
        ours = printed("--method", "ipndm", "--order", 3, "--nfe", 8, "--grid", "edm-to-0.001")
        sigma, steps = in_y(ours)
        made = plans.dyweight(plans.ipndm(8, 3), [1.0] * 8, sigma, guard=0.0)
        self.same(made, sigma, steps, 1e-11)
        self.assertTrue(all("at" not in step or abs(step["at"] / s - 1) < 1e-12 for step, s in zip(made["steps"], sigma)))

    def test_with_afs_it_is_ipndm_3_with_afs(self):
        ours = printed("--method", "ipndm", "--order", 3, "--nfe", 7, "--grid", "edm-to-0.001", "--afs")
        sigma, steps = in_y(ours)
        made = plans.dyweight(plans.ipndm(8, 3), [1.0] * 7, sigma, afs=True, guard=0.0)
        self.same(made, sigma, steps, 1e-11)
        self.assertEqual((made["nfe"], ours["nfe"]), (7, 7))
        # Their first state is sigma x_T and its direction sigma/sqrt(1 + sigma^2) x_T; ours are sqrt(1 + sigma^2) x_T and x_T.
        ratio = made["start"] / math.sqrt(1 + sigma[0] ** 2)
        self.assertAlmostEqual(made["steps"][0]["afs"], ratio * ours["steps"][0]["afs"], delta=1e-15)

    def test_scales_move_the_evaluations_and_multiply_the_directions(self):
        made = plans.dyweight([[0.5, 0], [-0.25, 1.25]], [1.0, 0.9], [4.0, 2.0, 1.0], guard=0.0)
        # t_1 = 4 + 0.5 (2 - 4) = 3, evaluated at 2.7; d_1 = 0.9 eps; t_2 = 3 + 1 (1 - 3) = 1.
        self.assertEqual((made["sigma"], made["start"]), ([4.0, 3.0, 1.0], 4.0))
        self.assertEqual(made["steps"][0], {"a": 1.0, "c": [-1.0]})
        self.assertAlmostEqual(made["steps"][1]["at"], 2.7, delta=1e-15)
        for found, expected in zip(made["steps"][1]["c"], [-2 * 1.25 * 0.9, 2 * 0.25], strict=True):
            self.assertAlmostEqual(found, expected, delta=1e-15)

    def test_the_last_level_is_the_grids_end(self):
        # t_1 = 4 + 0.5 (2 - 4) = 3 is learned, and t_2 = 3 + 0.9 (1 - 3) = 1.2, where the grid ends at 1.
        made = plans.dyweight([[0.5, 0], [-0.35, 1.25]], [], [4.0, 2.0, 1.0], guard=0.0)
        self.assertEqual(made["sigma"], [4.0, 3.0, 1.0])
        # And t_1 = 4 + 1.6 (2 - 4) = 0.8, which is below it: levels never rise.
        made = plans.dyweight([[1.6, 0], [0, 1.0]], [], [4.0, 2.0, 1.0], guard=0.0)
        self.assertEqual([round(level, 12) for level in made["sigma"]], [4.0, 0.8, 0.8])

    def test_tables_that_mean_something_else_are_refused(self):
        good = {"sampler_stu": "epd", "guidance_type": None, "guidance_rate": 0.0}
        self.assertIsNone(plans.epd_refusal(good))
        self.assertIn("EPD-Plugin", plans.epd_refusal({**good, "sampler_stu": "ipndm"}))
        for guided in ({"guidance_type": "cfg"}, {"guidance_type": "classifier-free", "guidance_rate": 7.5}, {"guidance_rate": 7.5}):
            self.assertIn("guidance", plans.epd_refusal({**good, **guided}), guided)
        self.assertIsNone(plans.guidance_refusal({"guidance_type": "uncond", "guidance_rate": 1.0}))

    def test_a_grids_ends_are_the_options_the_tables_or_the_papers(self):
        self.assertEqual([plans.first(*v) for v in ((None, None, 0.002), (None, 0.03, 0.002), (0.0, 0.03, 0.002))], [0.002, 0.03, 0.0])

    def test_epd_with_one_point_in_the_middle_is_dpm_solver_2(self):
        ours = printed("--method", "dpm-solver", "--order", 2, "--nfe", 8, "--grid", "log-snr-to-0.001")
        sigma, steps = in_y(ours)
        made = plans.epd([[(0.5, 1.0, 1.0, 1.0)]] * 4, sigma[::2])
        self.same(made, sigma, steps, 1e-11)

    def test_epds_parameters_at_0_are_that_point(self):
        zero = [[0.0]] * 2
        points = plans.epd_points(zero, zero, zero, zero, {"scale_dir": 0.05, "scale_time": 0.05})
        self.assertEqual(points, [[(0.5, 1.0, 1.0, 1.0)]] * 2)

    def test_epds_points_are_independent_of_one_another(self):
        made = plans.epd([[(0.75, 0.25, 1.0, 1.1), (0.25, 0.75, 0.9, 1.0)]], [16.0, 1.0])
        # t_mid = 16^0.75 = 8 at r = 0.25 comes first, then 16^0.25 = 2, evaluated at 2.2.
        self.assertEqual(made["sigma"], [16.0, 8.0, 2.0, 1.0])
        self.assertEqual([(s["a"], s.get("b")) for s in made["steps"]], [(1.0, None), (0.0, [1.0]), (0.0, [0.0, 1.0])])
        self.assertEqual(made["steps"][0]["c"], [-8.0])
        self.assertEqual(made["steps"][1]["c"], [0.0, -14.0])
        for found, expected in zip(made["steps"][2]["c"], [-15 * 0.25 * 1.1, -15 * 0.75 * 0.9], strict=True):
            self.assertAlmostEqual(found, expected, delta=1e-14)
        self.assertAlmostEqual(made["steps"][2]["at"], 2.2, delta=1e-15)


if __name__ == "__main__":
    unittest.main()
