//! Activations in blocks of 16 channels.

use std::ops::Range;

/// Sixteen channels of one pixel: one, two or four vectors, on a cache line of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Lane(pub [f32; LANES]);

/// Channels in a block.
pub const LANES: usize = 16;

impl Lane {
    /// Sixteen zeros.
    pub const ZERO: Lane = Lane([0.0; LANES]);
}

/// The size of an image's activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Blocks of 16 channels.
    pub blocks: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Rows of zeros above and below, columns of zeros on the left and right: the padding of the convolution that reads it.
    pub border: [usize; 2],
}

impl Shape {
    /// Without a border.
    pub fn new(blocks: usize, height: usize, width: usize) -> Shape {
        Shape { blocks, height, width, border: [0, 0] }
    }

    /// With a border.
    pub fn bordered(self, border: [usize; 2]) -> Shape {
        Shape { border, ..self }
    }

    /// Lanes from one row to the next.
    pub fn stride(&self) -> usize {
        self.width + 2 * self.border[1]
    }

    /// Lanes from one block to the next.
    pub fn plane(&self) -> usize {
        (self.height + 2 * self.border[0]) * self.stride()
    }

    /// Lanes of an image.
    pub fn lanes(&self) -> usize {
        self.blocks * self.plane()
    }

    /// Where a pixel's lane is in its image.
    pub fn at(&self, block: usize, y: usize, x: usize) -> usize {
        block * self.plane() + (y + self.border[0]) * self.stride() + x + self.border[1]
    }
}

/// Activations of some images, `[image][block][row][column]` of [`Lane`]s.
///
/// A border is zero when planes are made, and nothing writes into it: planes can be used again for the same shape.
#[derive(Debug)]
pub struct Planes {
    shape: Shape,
    images: usize,
    data: Vec<Lane>,
}

impl Planes {
    /// Zeros.
    pub fn new(images: usize, shape: Shape) -> Planes {
        Planes { shape, images, data: vec![Lane::ZERO; images * shape.lanes()] }
    }

    /// An image's.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// One image.
    pub fn image(&self, image: usize) -> &[Lane] {
        &self.data[image * self.shape.lanes()..][..self.shape.lanes()]
    }

    /// One image.
    pub fn image_mut(&mut self, image: usize) -> &mut [Lane] {
        &mut self.data[image * self.shape.lanes()..][..self.shape.lanes()]
    }
}

/// Some images of [`Planes`].
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    shape: Shape,
    images: usize,
    data: &'a [Lane],
}

/// Some images of [`Planes`], to write.
#[derive(Debug)]
pub struct ViewMut<'a> {
    shape: Shape,
    images: usize,
    data: &'a mut [Lane],
}

impl Planes {
    /// These images.
    pub fn some(&self, images: Range<usize>) -> View<'_> {
        let len = self.shape.lanes();
        View { shape: self.shape, images: images.len(), data: &self.data[images.start * len..images.end * len] }
    }

    /// These images, to write.
    pub fn some_mut(&mut self, images: Range<usize>) -> ViewMut<'_> {
        let len = self.shape.lanes();
        ViewMut { shape: self.shape, images: images.len(), data: &mut self.data[images.start * len..images.end * len] }
    }
}

impl<'a> From<&'a Planes> for View<'a> {
    fn from(planes: &'a Planes) -> View<'a> {
        planes.some(0..planes.images)
    }
}

impl<'a> From<&'a mut Planes> for ViewMut<'a> {
    fn from(planes: &'a mut Planes) -> ViewMut<'a> {
        planes.some_mut(0..planes.images)
    }
}

impl<'a> View<'a> {
    /// An image's.
    pub fn shape(self) -> Shape {
        self.shape
    }

    /// How many images.
    pub fn images(self) -> usize {
        self.images
    }

    /// One image.
    pub fn image(self, image: usize) -> &'a [Lane] {
        &self.data[image * self.shape.lanes()..][..self.shape.lanes()]
    }
}

impl ViewMut<'_> {
    /// The same for a shorter while.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut { shape: self.shape, images: self.images, data: self.data }
    }

    /// An image's.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How many images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// One image.
    pub fn image_mut(&mut self, image: usize) -> &mut [Lane] {
        &mut self.data[image * self.shape.lanes()..][..self.shape.lanes()]
    }
}

/// Planes that are not in use, and what kernels need besides: made once, kept between runs. One for each thread that computes.
#[derive(Debug)]
pub struct Scratch {
    /// The instructions to use.
    pub level: crate::Level,
    free: Vec<Planes>,
    /// Frequencies of a Winograd convolution's input and output.
    pub(crate) spare: [Vec<Lane>; 2],
    pub(crate) offsets: Vec<usize>,
    /// Of a normalisation, for each block: sums, means and variances.
    pub(crate) statistics: [Vec<Lane>; 3],
    pub(crate) attention: crate::attention::Room,
}

impl Scratch {
    /// Nothing yet.
    pub fn new(level: crate::Level) -> Scratch {
        Scratch {
            level,
            free: Vec::new(),
            spare: [Vec::new(), Vec::new()],
            offsets: Vec::new(),
            statistics: Default::default(),
            attention: Default::default(),
        }
    }

    /// Planes of this shape; their border is zero, the rest is whatever was there, non-finite numbers too: who takes them writes
    /// all 16 numbers of every lane.
    pub fn take(&mut self, images: usize, shape: Shape) -> Planes {
        let fits = |planes: &Planes| planes.shape == shape && planes.data.len() >= images * shape.lanes();
        match self.free.iter().rposition(fits) {
            Some(at) => Planes { images, ..self.free.swap_remove(at) },
            None => Planes::new(images, shape),
        }
    }

    /// Planes that are no longer needed.
    pub fn give(&mut self, planes: Planes) {
        self.free.push(planes);
    }
}

/// Where each channel of a tensor lies in blocks: positions that no channel has are zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channels {
    positions: Vec<usize>,
    blocks: usize,
}

impl Channels {
    /// One after another, the last block filled up.
    pub fn dense(count: usize) -> Channels {
        Channels::groups(1, count)
    }

    /// `groups` times `count`, every group in blocks of its own.
    pub fn groups(groups: usize, count: usize) -> Channels {
        let blocks = count.div_ceil(LANES);
        let positions = (0..groups).flat_map(|g| (0..count).map(move |c| g * blocks * LANES + c)).collect();
        Channels { positions, blocks: groups * blocks }
    }

    /// These and `others` behind them.
    pub fn followed_by(&self, others: &Channels) -> Channels {
        let behind = others.positions.iter().map(|position| position + self.blocks * LANES);
        let positions = self.positions.iter().copied().chain(behind).collect();
        Channels { positions, blocks: self.blocks + others.blocks }
    }

    /// How many channels.
    pub fn count(&self) -> usize {
        self.positions.len()
    }

    /// How many blocks they take.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Positions, channel by channel.
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// A number for each channel, in blocks.
    pub fn lanes(&self, values: &[f32]) -> Vec<Lane> {
        let mut lanes = vec![Lane::ZERO; self.blocks];
        for (&position, &value) in self.positions.iter().zip(values) {
            lanes[position / LANES].0[position % LANES] = value;
        }
        lanes
    }
}
