//! Convolutions against the sum that defines them, in double precision, on every instruction set that the machine has, with weights
//! packed for each.

mod common;

use common::{Numbers, conv2d, from_planes, into_planes, relative_rms};
use fewstep_conv::{Algorithm, Channels, Conv, ConvSpec, Level, Planes, Scratch, Target};

struct Case {
    spec: ConvSpec,
    channels: [usize; 2],
    size: [usize; 2],
}

fn cases() -> Vec<Case> {
    let spec = |kernel, stride, padding| ConvSpec { kernel, stride, padding, relu: false };
    let case = |spec, channels, size| Case { spec, channels, size };
    vec![
        case(ConvSpec::same([3, 3]), [32, 32], [16, 16]),
        case(ConvSpec::same([3, 3]), [7, 19], [5, 9]),
        case(ConvSpec::same([3, 3]), [48, 80], [4, 4]),
        // 144 tiles: three passes of Winograd's, the second of them over both images.
        case(ConvSpec::same([3, 3]), [16, 80], [33, 30]),
        case(spec([3, 3], 1, [0, 0]), [20, 33], [9, 11]),
        case(spec([3, 3], 2, [1, 1]), [16, 48], [8, 8]),
        case(spec([3, 3], 2, [0, 0]), [3, 32], [17, 19]),
        case(spec([3, 3], 3, [1, 1]), [20, 33], [10, 14]),
        case(spec([1, 1], 3, [0, 0]), [16, 48], [7, 9]),
        case(spec([5, 3], 4, [2, 1]), [17, 32], [11, 9]),
        case(ConvSpec::POINT, [70, 96], [6, 5]),
        // Without a border in several pieces, the last of them a part or a whole one.
        case(ConvSpec::POINT, [70, 96], [9, 9]),
        case(ConvSpec::POINT, [16, 48], [32, 32]),
        case(ConvSpec::same([1, 7]), [16, 16], [17, 17]),
        case(ConvSpec::same([7, 1]), [17, 35], [17, 3]),
        case(ConvSpec::same([1, 3]), [33, 16], [8, 6]),
        case(ConvSpec::same([3, 1]), [16, 64], [5, 8]),
        case(ConvSpec::same([5, 5]), [48, 64], [7, 35]),
    ]
}

/// What came of a convolution.
struct Found {
    /// What it was packed for.
    packed: Level,
    /// Where it ran.
    level: Level,
    border: [usize; 2],
    values: Vec<f32>,
}

/// `conv`, packed for each instruction set, on each, with a border around the outputs and without: all kernels with panels of all widths.
fn on_all(conv: impl Fn(Level) -> Conv, x: &Planes, add: Option<&Planes>, to: &Channels) -> Vec<Found> {
    let mut all = Vec::new();
    for packed in Level::all() {
        let conv = conv(packed);
        for level in Level::all() {
            let mut scratch = Scratch::new(level);
            for border in [[0, 0], [1, 2]] {
                let mut out = Planes::new(x.images(), conv.shape(x.shape()).bordered(border));
                conv.run(x, Target::from(&mut out), add.map(Into::into), &mut scratch);
                all.push(Found { packed, level, border, values: from_planes(&out, to) });
            }
        }
    }
    all
}

#[test]
fn every_shape_on_every_instruction_set() {
    for Case { spec, channels: [input, output], size } in cases() {
        let mut numbers = Numbers(1);
        let fan = input * spec.kernel[0] * spec.kernel[1];
        let weight = numbers.take(output * fan, (fan as f32).sqrt().recip());
        let (bias, x) = (numbers.take(output, 1.0), numbers.take(2 * input * size[0] * size[1], 1.0));
        let (from, to) = (Channels::dense(input), Channels::dense(output));
        let planes = into_planes(&x, 2, &from, size, spec.padding);
        let sums = conv2d(&x, &weight, &bias, [input, output], size, spec);
        let outputs = [0, 1].map(|axis| (size[axis] + 2 * spec.padding[axis] - spec.kernel[axis]) / spec.stride + 1);
        let add = numbers.take(sums.len(), 1.0);
        let add_planes = into_planes(&add, 2, &to, outputs, [0, 0]);
        for (relu, added) in [(false, false), (false, true), (true, false), (true, true)] {
            let spec = ConvSpec { relu, ..spec };
            let finished = |(sum, add): (&f64, &f32)| {
                let sum = if added { sum + f64::from(*add) } else { *sum };
                // The activation comes last.
                if relu { sum.max(0.0) } else { sum }
            };
            let expected: Vec<f64> = sums.iter().zip(&add).map(finished).collect();
            for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
                // Measured: direct at most 2e-7, Winograd 1.5e-6.
                let bound = if algorithm == Algorithm::Direct { 1e-6 } else { 8e-6 };
                let what = format!("{spec:?} {input}->{output} {size:?} {algorithm:?}, added: {added}");
                let conv = |level| Conv::new(spec, &weight, &bias, [&from, &to], algorithm, level);
                let all = on_all(conv, &planes, added.then_some(&add_planes), &to);
                // Fused instruction sets agree to the bit, whatever their width, and every one with itself, whatever the panels'.
                let mut firsts: [Option<&[f32]>; 2] = [None; 2];
                for Found { packed, level, border, values } in &all {
                    let which = format!("{what}, border {border:?}, packed for {}, on {}", packed.name(), level.name());
                    let error = relative_rms(values, &expected);
                    assert!(error < bound, "{which}: {error:e}");
                    let first: &[f32] = firsts[usize::from(level.is_fused())].get_or_insert(values);
                    assert!(first == values.as_slice(), "{which}: other bits");
                }
            }
        }
    }
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let (from, to) = (Channels::dense(32), Channels::dense(64));
    let mut numbers = Numbers(7);
    let (weight, bias) = (numbers.take(64 * 32 * 9, 0.1), numbers.take(64, 1.0));
    let x = numbers.take(9 * 32 * 16 * 16, 1.0);
    for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
        let conv = Conv::new(ConvSpec::same([3, 3]), &weight, &bias, [&from, &to], algorithm, Level::best());
        let run = |x: &[f32], images: usize| {
            let planes = into_planes(x, images, &from, [16, 16], [1, 1]);
            let mut out = Planes::new(images, conv.shape(planes.shape()));
            conv.run(&planes, Target::from(&mut out), None, &mut Scratch::new(Level::best()));
            from_planes(&out, &to)
        };
        let one_by_one: Vec<f32> = x.chunks(32 * 256).flat_map(|image| run(image, 1)).collect();
        assert!(run(&x, 9) == one_by_one, "{algorithm:?}");
    }
}

#[test]
fn outputs_of_several_convolutions_lie_side_by_side() {
    let (from, to) = (Channels::dense(16), Channels::dense(16));
    let mut numbers = Numbers(3);
    let convs: Vec<Conv> = (0..2)
        .map(|_| {
            let (weight, bias) = (numbers.take(16 * 16 * 9, 0.1), numbers.take(16, 1.0));
            Conv::new(ConvSpec::same([3, 3]), &weight, &bias, [&from, &to], Algorithm::Fastest, Level::best())
        })
        .collect();
    let x = into_planes(&numbers.take(16 * 64, 1.0), 1, &from, [8, 8], [1, 1]);
    let mut scratch = Scratch::new(Level::best());
    let mut both = Planes::new(1, fewstep_conv::Shape::new(2, 8, 8));
    let mut alone = Planes::new(1, fewstep_conv::Shape::new(1, 8, 8));
    for (block, conv) in convs.iter().enumerate() {
        conv.run(&x, Target { out: (&mut both).into(), block }, None, &mut scratch);
    }
    for (block, conv) in convs.iter().enumerate() {
        conv.run(&x, Target::from(&mut alone), None, &mut scratch);
        assert_eq!(both.image(0)[block * 64..][..64], *alone.image(0));
    }
}
