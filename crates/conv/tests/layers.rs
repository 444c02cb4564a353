//! Every other layer against its definition in double precision, on every instruction set that the machine has.

mod common;

use common::{Numbers, from_planes, into_planes, relative_rms};
use fewstep_conv::{
    Attention, AttentionWeights, Channels, GroupNorm, Level, Modulation, Planes, Pool, Scratch, Shape, add_to_channels,
    copy, enlarge, from_pixels, halve, scale, to_pixels,
};

/// Runs on every instruction set: each within `bound` of `expected`, and those with fused operations equal to the bit.
fn on_all(bound: f64, expected: &[f64], run: impl Fn(&mut Scratch) -> Vec<f32>) {
    let mut fused: Option<Vec<f32>> = None;
    for level in Level::all() {
        let found = run(&mut Scratch::new(level));
        let error = relative_rms(&found, expected);
        assert!(error < bound, "{}: {error:e}", level.name());
        if level.is_fused() {
            assert!(fused.get_or_insert_with(|| found.clone()) == &found, "{}", level.name());
        }
    }
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[test]
fn group_normalisation() {
    // Groups within a block, across blocks, and over two tensors side by side whose last blocks are not full.
    let cases = [
        (Channels::dense(32), 8),
        (Channels::dense(72), 3),
        (Channels::dense(20).followed_by(&Channels::dense(12)), 4),
    ];
    for (channels, groups) in cases {
        let (count, pixels) = (channels.count(), 6 * 5);
        let mut numbers = Numbers(5);
        let x: Vec<f32> = numbers.take(2 * count * pixels, 1.0).iter().map(|x| x + 3.0).collect();
        let [gamma, beta, scale, shift] = [1.0, 0.5, 0.7, 0.3].map(|size| numbers.take(count, size));
        for modulated in [false, true] {
            let mut expected = vec![0.0; x.len()];
            for (image, out) in x.chunks(count * pixels).zip(expected.chunks_mut(count * pixels)) {
                let size = count / groups * pixels;
                for (g, (group, out)) in image.chunks(size).zip(out.chunks_mut(size)).enumerate() {
                    let mean = group.iter().map(|&x| f64::from(x)).sum::<f64>() / size as f64;
                    let variance = group.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / size as f64;
                    for (i, (x, out)) in group.iter().zip(out).enumerate() {
                        let c = g * count / groups + i / pixels;
                        let mut y = (f64::from(*x) - mean) / (variance + 1e-5).sqrt() * f64::from(gamma[c])
                            + f64::from(beta[c]);
                        if modulated {
                            y = y * (1.0 + f64::from(scale[c])) + f64::from(shift[c]);
                        }
                        *out = silu(y);
                    }
                }
            }
            let norm = GroupNorm::new(&channels, groups, [&gamma, &beta], 1e-5, true);
            let (scale, shift) = (channels.lanes(&scale), channels.lanes(&shift));
            on_all(1e-6, &expected, |scratch| {
                let planes = into_planes(&x, 2, &channels, [6, 5], [0, 0]);
                let mut out = Planes::new(2, planes.shape().bordered([1, 1]));
                let modulation = modulated.then_some(Modulation { scale: &scale, shift: &shift });
                norm.run(&planes, modulation, &mut out, scratch);
                from_planes(&out, &channels)
            });
        }
    }
}

/// The pool of `x` `[channels, h, w]`: of what lies in each window, by `of`.
fn pooled(x: &[f32], [h, w]: [usize; 2], stride: usize, of: impl Fn(usize, &[f64]) -> f64) -> Vec<f64> {
    let (padding, rows) = if stride == 2 { (0, [(h - 3) / 2 + 1, (w - 3) / 2 + 1]) } else { (1, [h, w]) };
    let mut out = Vec::new();
    for (c, plane) in x.chunks(h * w).enumerate() {
        for (y, x) in (0..rows[0]).flat_map(|y| (0..rows[1]).map(move |x| (y, x))) {
            let at = |i: usize, j: usize| {
                let (row, column) = ((y * stride + i).checked_sub(padding)?, (x * stride + j).checked_sub(padding)?);
                (row < h && column < w).then(|| f64::from(plane[row * w + column]))
            };
            let window: Vec<f64> = (0..9).filter_map(|k| at(k / 3, k % 3)).collect();
            out.push(of(c, &window));
        }
    }
    out
}

#[test]
fn pools() {
    let (channels, size) = (Channels::dense(20), [7, 9]);
    let mut numbers = Numbers(11);
    // Below zero too: a maximum does not see the border's zeros.
    let x: Vec<f32> = numbers.take(20 * 63, 1.0).iter().map(|x| x - 1.5).collect();
    let bias = numbers.take(20, 2.0);
    let largest = |_: usize, window: &[f64]| window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean =
        |c: usize, window: &[f64]| (window.iter().sum::<f64>() / window.len() as f64 + f64::from(bias[c])).max(0.0);
    let lanes = channels.lanes(&bias);
    let cases = [
        (Pool::MaxHalving, pooled(&x, size, 2, largest)),
        (Pool::Max, pooled(&x, size, 1, largest)),
        (Pool::MeanBiasRelu(&lanes), pooled(&x, size, 1, mean)),
    ];
    for (pool, expected) in cases {
        on_all(1e-6, &expected, |scratch| {
            let planes = into_planes(&x, 1, &channels, size, [0, 0]);
            let mut out = Planes::new(1, pool.shape(planes.shape()));
            pool.run(&planes, &mut out, 0, scratch);
            from_planes(&out, &channels)
        });
    }
}

#[test]
fn attention() {
    // Heads and pixels that do not fill their blocks, and ones that do.
    for (count, heads, [h, w]) in [(24, 3, [3, 5]), (64, 1, [4, 4]), (32, 4, [8, 8])] {
        let (dim, pixels, channels) = (count / heads, h * w, Channels::dense(count));
        let mut numbers = Numbers(17);
        let scale = (count as f32).sqrt().recip() * 2.0;
        let weights = [numbers.take(3 * count * count, scale), numbers.take(count * count, scale)];
        let biases = [numbers.take(3 * count, 0.5), numbers.take(count, 0.5)];
        let (x, residual) = (numbers.take(count * pixels, 1.5), numbers.take(count * pixels, 1.0));
        let product = |weight: &[f32], bias: &[f32], x: &[f64]| -> Vec<f64> {
            let row = |(row, bias): (&[f32], &f32)| {
                (0..pixels)
                    .map(|p| (0..count).map(|c| f64::from(row[c]) * x[c * pixels + p]).sum::<f64>() + f64::from(*bias))
                    .collect::<Vec<f64>>()
            };
            weight.chunks(count).zip(bias).flat_map(row).collect()
        };
        let qkv = product(&weights[0], &biases[0], &x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>());
        let mut y = vec![0.0; count * pixels];
        for head in 0..heads {
            let at = |part: usize, d: usize, p: usize| qkv[((head * 3 + part) * dim + d) * pixels + p];
            for i in 0..pixels {
                let score = |j: usize| (0..dim).map(|d| at(0, d, i) * at(1, d, j)).sum::<f64>() / (dim as f64).sqrt();
                let scores: Vec<f64> = (0..pixels).map(score).collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let sum: f64 = powers.iter().sum();
                for d in 0..dim {
                    y[(head * dim + d) * pixels + i] = (0..pixels).map(|j| powers[j] / sum * at(2, d, j)).sum();
                }
            }
        }
        let expected: Vec<f64> =
            product(&weights[1], &biases[1], &y).iter().zip(&residual).map(|(y, x)| y + f64::from(*x)).collect();
        let weights = AttentionWeights { qkv: [&weights[0], &biases[0]], projection: [&weights[1], &biases[1]] };
        on_all(2e-6, &expected, |scratch| {
            let [x, residual] = [&x, &residual].map(|x| into_planes(x, 1, &channels, [h, w], [0, 0]));
            let mut out = Planes::new(1, x.shape());
            Attention::new(&channels, heads, weights, scratch.level).run(&x, &residual, &mut out, scratch);
            from_planes(&out, &channels)
        });
    }
}

#[test]
fn pixels_in_and_out_copies_and_enlarging() {
    let x = Numbers(23).take(2 * 3 * 64, 1.0);
    let mut planes = Planes::new(2, Shape::new(1, 4, 4).bordered([1, 1]));
    from_pixels(&x, 3, 2, &mut planes);
    // Row 3, column 5 of channel 1 is in patch (1, 2), at row 1 and column 1 of it.
    assert_eq!(planes.image(1)[planes.shape().at(0, 1, 2)].0[7], x[192 + 64 + 3 * 8 + 5]);
    let mut back = vec![0.0; x.len()];
    to_pixels(&planes, 3, 2, &mut back);
    assert_eq!(back, x);
    let mut wide = Planes::new(2, Shape::new(2, 8, 8));
    let mut large = Planes::new(2, Shape::new(1, 8, 8));
    enlarge(&planes, &mut large);
    // Each image its own: 1, and 2.
    for image in 0..2 {
        add_to_channels(&mut large, image, &Channels::dense(16).lanes(&[1.0 + image as f32; 16]));
    }
    // Back to what was enlarged, and as much more.
    let mut small = Planes::new(2, Shape::new(1, 4, 4).bordered([1, 1]));
    halve(&large, &mut small);
    scale(&mut small, 2.0);
    let back = from_planes(&small, &Channels::dense(16));
    for (i, (value, from)) in back.iter().zip(from_planes(&planes, &Channels::dense(16))).enumerate() {
        assert!((value - 2.0 * (from + 1.0 + (i / 256) as f32)).abs() < 1e-6);
    }
    assert_eq!(small.image(1)[0], fewstep_conv::Lane::ZERO);
    copy(&large, &mut wide, 1);
    let channels = Channels::dense(32);
    let values = from_planes(&wide, &channels);
    let narrow = from_planes(&planes, &Channels::dense(16));
    for (i, &value) in values.iter().enumerate() {
        let (image, c, y, x) = (i / 2048, i / 64 % 32, i / 8 % 8, i % 8);
        let expected =
            if c < 16 { 0.0 } else { narrow[((image * 16 + c - 16) * 4 + y / 2) * 4 + x / 2] + 1.0 + image as f32 };
        assert_eq!(value, expected);
    }
}

#[test]
fn planes_that_were_given_back_have_a_border_of_zeros() {
    let mut scratch = Scratch::new(Level::best());
    let shape = Shape::new(1, 2, 2).bordered([1, 1]);
    let mut planes = scratch.take(3, shape);
    from_pixels(&[1.0; 3 * 4], 1, 1, &mut planes);
    scratch.give(planes);
    let again = scratch.take(2, shape);
    assert_eq!((again.images(), again.image(1).len()), (2, 16));
    assert_eq!(again.image(1).iter().map(|lane| lane.0[0]).sum::<f32>(), 4.0);
    assert_eq!(again.image(1)[0], fewstep_conv::Lane::ZERO);
}

#[test]
fn what_was_not_finite_leaves_no_trace() {
    let bad = Numbers(1).take(48 * 16, f32::NAN);
    let mut scratch = Scratch::new(Level::best());
    // The same room for an attention of more dimensions before, and of fewer.
    let attention = |count: usize, x: &[f32], scratch: &mut Scratch| {
        let (channels, mut numbers) = (Channels::dense(count), Numbers(2));
        let weights = [numbers.take(3 * count * count, 0.3), numbers.take(count * count, 0.3)];
        let biases = [numbers.take(3 * count, 0.5), numbers.take(count, 0.5)];
        let weights = AttentionWeights { qkv: [&weights[0], &biases[0]], projection: [&weights[1], &biases[1]] };
        let planes = into_planes(&x[..count * 16], 1, &channels, [4, 4], [0, 0]);
        let mut out = Planes::new(1, planes.shape());
        Attention::new(&channels, 1, weights, scratch.level).run(&planes, &planes, &mut out, scratch);
        from_planes(&out, &channels)
    };
    let good = Numbers(3).take(48 * 16, 1.0);
    let expected = attention(24, &good, &mut scratch);
    assert!(attention(32, &bad, &mut scratch).iter().all(|value| value.is_nan()));
    assert_eq!(attention(24, &good, &mut scratch), expected);

    // The last block full before, and not full.
    let norm = |count: usize, x: &[f32], scratch: &mut Scratch| {
        let (channels, ones) = (Channels::dense(count), vec![1.0; count]);
        let planes = into_planes(&x[..count * 16], 1, &channels, [4, 4], [0, 0]);
        let mut out = Planes::new(1, planes.shape());
        GroupNorm::new(&channels, 4, [&ones, &ones], 1e-5, true).run(&planes, None, &mut out, scratch);
        out.image(0).to_vec()
    };
    let expected = norm(24, &good, &mut Scratch::new(Level::best()));
    assert!(norm(32, &bad, &mut scratch).iter().all(|lane| lane.0[0].is_nan()));
    assert_eq!(norm(24, &good, &mut scratch), expected);

    let mut planes = Planes::new(1, Shape::new(1, 4, 4));
    planes.image_mut(0).fill(fewstep_conv::Lane([f32::NAN; 16]));
    from_pixels(&good[..48], 3, 1, &mut planes);
    assert_eq!(from_planes(&planes, &Channels::dense(16))[48..], [0.0; 13 * 16]);
}

#[test]
fn what_is_not_a_number_stays_so() {
    let (from, to) = (Channels::dense(3), Channels::dense(5));
    for kernel in [[1, 1], [3, 3], [1, 7], [3, 1]] {
        for algorithm in [fewstep_conv::Algorithm::Direct, fewstep_conv::Algorithm::Fastest] {
            let spec = fewstep_conv::ConvSpec { relu: true, ..fewstep_conv::ConvSpec::same(kernel) };
            let weight = Numbers(4).take(15 * kernel[0] * kernel[1], 1.0);
            let planes = into_planes(&[f32::NAN; 3 * 64], 1, &from, [8, 8], spec.padding);
            for level in Level::all() {
                let conv = fewstep_conv::Conv::new(spec, &weight, &[0.0; 5], [&from, &to], algorithm, level);
                let mut out = Planes::new(1, conv.shape(planes.shape()));
                let target = fewstep_conv::Target::from(&mut out);
                conv.run(&planes, target, None, &mut Scratch::new(level));
                assert!(from_planes(&out, &to).iter().all(|value| value.is_nan()), "{kernel:?} {}", level.name());
            }
        }
    }
}
