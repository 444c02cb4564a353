//! What Winograd's convolutions have in common: products over channels, frequency by frequency.

use pulp::Simd;

use crate::{
    level::Level,
    panels::Panels,
    planes::{Channels, LANES, Lane, Scratch},
    product::{Finish, Input, Place},
};

/// Tiles that are transformed together: so many that the weights of a frequency, which of a whole network fit no cache, are used often for
/// being read once.
const TILES: usize = 64;
/// Lanes between frequencies: apart from a power of two, or all of them would want the same lines of the first cache.
const GAP: usize = 5;

/// Weights of a convolution, transformed: a matrix over channels for each frequency.
#[derive(Debug, Clone)]
pub(crate) struct Frequencies {
    panels: Vec<Panels>,
    /// Blocks of inputs.
    pub input: usize,
    /// Blocks of outputs.
    pub output: usize,
}

/// Room for the tiles of one pass.
pub(crate) struct Room<'a> {
    /// Tiles at a time.
    pub tiles: usize,
    /// `[frequency][block][tile]`.
    pub inputs: &'a mut [Lane],
    /// `[frequency][block][tile]`.
    pub outputs: &'a mut [Lane],
    offsets: &'a [usize],
}

impl Frequencies {
    /// `weight` `[output, input, taps]`, packed for `level`; `transform` gives a kernel's numbers at `count` frequencies.
    pub fn new(
        weight: &[f32],
        taps: usize,
        [input, output]: [&Channels; 2],
        count: usize,
        level: Level,
        transform: impl Fn(&[f32]) -> Vec<f32>,
    ) -> Frequencies {
        let mut panels = vec![Panels::new(output.blocks(), input.blocks(), level.blocks(4)); count];
        for (row, &o) in weight.chunks(input.count() * taps).zip(output.positions()) {
            for (kernel, &i) in row.chunks(taps).zip(input.positions()) {
                for (panels, weight) in panels.iter_mut().zip(transform(kernel)) {
                    panels.set(o, i / LANES, i % LANES, weight);
                }
            }
        }
        Frequencies { panels, input: input.blocks(), output: output.blocks() }
    }

    /// Room in `scratch` for a pass over some of `all` tiles.
    pub fn room<'a>(&self, all: usize, scratch: &'a mut Scratch) -> Room<'a> {
        let tiles = all.min(TILES);
        for (lanes, blocks) in scratch.spare.iter_mut().zip([self.input, self.output]) {
            let needed = self.panels.len() * (blocks * tiles + GAP);
            if lanes.len() < needed {
                lanes.resize(needed, Lane::ZERO);
            }
        }
        scratch.offsets.clear();
        scratch.offsets.extend((0..self.input).map(|block| block * tiles));
        let [inputs, outputs] = &mut scratch.spare;
        Room { tiles, inputs, outputs, offsets: &scratch.offsets }
    }

    /// Lanes from one frequency of the inputs to the next.
    pub fn input_gap(&self, room: &Room) -> usize {
        self.input * room.tiles + GAP
    }

    /// Lanes from one frequency of the outputs to the next.
    pub fn output_gap(&self, room: &Room) -> usize {
        self.output * room.tiles + GAP
    }

    /// The products of the first `count` tiles.
    #[inline(always)]
    pub fn multiply<S: Simd, const V: usize>(&self, simd: S, count: usize, room: &mut Room) {
        let (from, to) = (self.input * room.tiles, self.output * room.tiles);
        let finish = Finish { bias: &[], add: None, relu: false };
        for (f, panels) in self.panels.iter().enumerate() {
            let x = &room.inputs[f * (from + GAP)..][..from];
            let out = &mut room.outputs[f * (to + GAP)..][..to];
            for (block, panel) in panels.iter() {
                let place = Place { base: block * room.tiles, plane: room.tiles };
                panel.line::<S, V, 1>(simd, count, Input { x, base: 0, offsets: room.offsets }, out, place, finish);
            }
        }
    }
}
