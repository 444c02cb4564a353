//! Where a method meets the network: each call becomes a step of the plan.

use crate::{Linear, Schedule, Step, level::Level};

/// A plan in the making.
pub(crate) struct Flow<'a> {
    /// τ → ᾱ.
    pub(crate) schedule: &'a Schedule,
    level: Level<'a>,
    denoise: bool,
    corrector: Option<Corrector>,
    ends: Option<EndCorrector>,
    tau: Vec<f64>,
    steps: Vec<Step>,
}

/// What a multistep method does in a step: y at the time it is handed, from the calls so far, oldest first.
pub(crate) type Next<'n> = dyn FnMut(&Flow, &[Node], f64) -> Linear + 'n;
/// The same for a method whose states are corrected before it goes on from them.
pub(crate) type Corrector = Box<dyn Fn(&mut Next, &Flow, &[Node], f64) -> Linear>;

/// y at a step's end once its prediction is known, which is the last argument: from where the steps before began, oldest
/// first, as corrected. Nothing where it is left as it is.
pub(crate) type EndCorrector = Box<dyn Fn(&[Node], &Node) -> Option<Linear>>;

/// A network call: where, and what it saw and gave.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The time.
    pub(crate) tau: f64,
    /// ρ, or s under score normalisation.
    pub(crate) rho: f64,
    /// x/√ᾱ; once corrected, the method goes on from it.
    pub(crate) y: Linear,
    /// ε, or ε/r under score normalisation.
    pub(crate) n: Linear,
    /// The state itself.
    pub(crate) x: Linear,
    /// The noise prediction itself.
    pub(crate) epsilon: Linear,
    data: Linear,
}

impl Node {
    /// The data prediction D = y − ρ n: where the image would end if n kept its value down to ρ = 0. Under score normalisation,
    /// y − s ε/r, that is if ε/r did; with constant r it is the network's x̂₀.
    /// A correction leaves it: it is of the state that the network saw.
    pub(crate) fn data(&self) -> Linear {
        self.data.clone()
    }

    /// With another prediction in the place of its own.
    pub(crate) fn predicting(&self, n: Linear) -> Node {
        Node { data: self.y.clone() - &n * self.rho, n, ..self.clone() }
    }

    /// λ = −ln ρ, half the log-SNR.
    pub(crate) fn lambda(&self) -> f64 {
        -self.rho.ln()
    }
}

impl<'a> Flow<'a> {
    /// `denoise`: whether the end of the grid is followed by a call there and a step to τ = 0.
    pub(crate) fn new(schedule: &'a Schedule, level: Level<'a>, denoise: bool) -> Self {
        Flow { schedule, level, denoise, corrector: None, ends: None, tau: Vec::new(), steps: Vec::new() }
    }

    /// With each state that a multistep method reaches corrected, once its prediction is known.
    pub(crate) fn with_corrector(self, corrector: Corrector) -> Self {
        Flow { corrector: Some(corrector), ..self }
    }

    /// With the end of each step of a singlestep method corrected, once its prediction is known.
    pub(crate) fn with_ends_corrected(self, corrector: EndCorrector) -> Self {
        Flow { ends: Some(corrector), ..self }
    }

    /// The first call, at x_T.
    pub(crate) fn start(&mut self, tau: f64) -> Node {
        self.tau.push(tau);
        self.node(tau)
    }

    /// A call at time τ of the state y √ᾱ.
    pub(crate) fn evaluate(&mut self, y: &Linear, tau: f64) -> Node {
        self.reach(y, tau);
        self.node(tau)
    }

    /// The last state: y at the end of the grid.
    pub(crate) fn finish(mut self, y: &Linear, tau: f64) -> (Vec<f64>, Vec<Step>) {
        if self.denoise {
            let node = self.evaluate(y, tau);
            let denoised = node.y.clone() - node.epsilon * self.schedule.rho(tau);
            self.reach(&denoised, 0.0);
        } else {
            self.reach(y, tau);
        }
        (self.tau, self.steps)
    }

    /// ρ(τ), or s(τ).
    pub(crate) fn rho(&self, tau: f64) -> f64 {
        self.level.at(tau)
    }

    /// The inverse of [`rho`](Self::rho).
    pub(crate) fn tau(&self, rho: f64) -> f64 {
        self.level.tau(rho)
    }

    /// ∫ f(τ) dρ between two times.
    pub(crate) fn integral(&self, from: f64, to: f64, f: impl Fn(f64) -> f64) -> f64 {
        self.level.integral(from, to, f)
    }

    /// √ᾱ(τ).
    pub(crate) fn alpha(&self, tau: f64) -> f64 {
        self.schedule.alpha_bar(tau).sqrt()
    }

    fn reach(&mut self, y: &Linear, tau: f64) {
        let x = y * self.alpha(tau);
        self.steps.push(x.step(self.steps.len()));
        self.tau.push(tau);
    }

    fn node(&self, tau: f64) -> Node {
        let k = self.steps.len();
        let (x, epsilon, rho) = (Linear::state(k), Linear::epsilon(k), self.level.at(tau));
        let (y, n) = (&x * (1.0 / self.alpha(tau)), &epsilon * (1.0 / self.level.r(tau)));
        Node { tau, rho, data: y.clone() - &n * rho, y, n, x, epsilon }
    }
}

/// A method that makes one call a step: `next` gives y at the time it is handed, from the calls so far, oldest first.
pub(crate) fn multistep(
    mut flow: Flow,
    tau: &[f64],
    mut next: impl FnMut(&Flow, &[Node], f64) -> Linear,
) -> (Vec<f64>, Vec<Step>) {
    let mut next = |flow: &Flow, nodes: &[Node], target: f64| match &flow.corrector {
        Some(corrector) => corrector(&mut next, flow, nodes, target),
        None => next(flow, nodes, target),
    };
    let mut nodes = vec![flow.start(tau[0])];
    let last = tau.len() - 1;
    for &target in &tau[1..last] {
        let y = next(&flow, &nodes, target);
        nodes.push(flow.evaluate(&y, target));
    }
    let y = next(&flow, &nodes, tau[last]);
    flow.finish(&y, tau[last])
}

/// A method that forgets what it called before a step: `step` gives y at the time it is handed, and makes what calls it
/// needs besides the one at the start.
pub(crate) fn singlestep(
    mut flow: Flow,
    tau: &[f64],
    mut step: impl FnMut(&mut Flow, &Node, f64) -> Linear,
) -> (Vec<f64>, Vec<Step>) {
    let mut nodes = vec![flow.start(tau[0])];
    let last = tau.len() - 1;
    for &target in &tau[1..last] {
        let y = step(&mut flow, &nodes[nodes.len() - 1], target);
        let mut node = flow.evaluate(&y, target);
        match &flow.ends {
            // Both start from the same y with the same factor: what is left is of this step.
            Some(corrector) => {
                node.y = corrector(&nodes, &node).map_or(node.y.clone(), |end| node.y.clone() + (end - y))
            }
            None => nodes.clear(),
        }
        nodes.push(node);
    }
    let y = step(&mut flow, &nodes[nodes.len() - 1], tau[last]);
    flow.finish(&y, tau[last])
}
