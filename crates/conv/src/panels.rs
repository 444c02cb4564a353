//! Weights in the order in which the kernels read them.

use pulp::Simd;

use crate::{
    planes::{LANES, Lane},
    product::{Finish, Input, Place, line},
};

/// Weights of a product, in panels of output blocks that are computed together: panel, then step (tap and input block), then
/// input lane, then the panel's outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panels {
    panels: Vec<Panel>,
    weights: Vec<Lane>,
}

#[derive(Debug, Clone, Copy)]
struct Panel {
    first: usize,
    blocks: usize,
    start: usize,
    lanes: usize,
}

impl Panels {
    /// Room for `blocks` output blocks, at most `widest` (4, 2 or 1) a panel, and `steps` steps; all zero.
    pub fn new(blocks: usize, steps: usize, widest: usize) -> Panels {
        let mut panels = Panels::default();
        panels.reset(blocks, steps, widest);
        panels
    }

    /// As [`Panels::new`], in the room that there is; the weights are whatever was there.
    pub fn reset(&mut self, blocks: usize, steps: usize, widest: usize) {
        let (mut first, mut start) = (0, 0);
        self.panels.clear();
        while first < blocks {
            let wide = [4, 2, 1].into_iter().find(|&wide| wide <= widest && wide <= blocks - first).unwrap_or(1);
            let lanes = steps * LANES * wide;
            self.panels.push(Panel { first, blocks: wide, start, lanes });
            (first, start) = (first + wide, start + lanes);
        }
        self.weights.resize(start, Lane::ZERO);
    }

    /// The weights of input lane `input` in `step` for an output block.
    pub fn lane_mut(&mut self, block: usize, step: usize, input: usize) -> &mut Lane {
        let at = self.panels.partition_point(|panel| panel.first <= block);
        let Panel { first, blocks, start, .. } = self.panels[at - 1];
        &mut self.weights[start + (step * LANES + input) * blocks + block - first]
    }

    /// The weight of input lane `input` in `step` for output position `output`.
    pub fn set(&mut self, output: usize, step: usize, input: usize, weight: f32) {
        self.lane_mut(output / LANES, step, input).0[output % LANES] = weight;
    }

    /// Every panel with its first block. (An iterator and not a function that takes a closure: what a closure does may be compiled
    /// without the instruction set.)
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = (usize, PanelOf<'_>)> {
        self.panels.iter().map(|panel| {
            let weights = &self.weights[panel.start..][..panel.lanes];
            (panel.first, PanelOf { blocks: panel.blocks, weights })
        })
    }
}

/// One panel.
#[derive(Clone, Copy)]
pub(crate) struct PanelOf<'a> {
    pub blocks: usize,
    pub weights: &'a [Lane],
}

impl PanelOf<'_> {
    /// A line of outputs of this panel.
    #[inline(always)]
    pub fn line<S: Simd, const V: usize, const STRIDE: usize>(
        self,
        simd: S,
        n: usize,
        input: Input,
        out: &mut [Lane],
        place: Place,
        finish: Finish,
    ) {
        match self.blocks {
            4 => line::<S, V, 4, STRIDE>(simd, n, input, self.weights, out, place, finish),
            2 => line::<S, V, 2, STRIDE>(simd, n, input, self.weights, out, place, finish),
            _ => line::<S, V, 1, STRIDE>(simd, n, input, self.weights, out, place, finish),
        }
    }
}
