//! Convolutions against the sum that defines them, in double precision, on every instruction set that the machine has.

mod common;

use common::{Numbers, conv2d, from_planes, into_planes, relative_rms};
use fewstep_conv::{Algorithm, Channels, Conv, ConvSpec, Level, Planes, Scratch, Target};

struct Case {
    spec: ConvSpec,
    channels: [usize; 2],
    size: [usize; 2],
}

fn cases() -> Vec<Case> {
    let spec = |kernel, stride, padding, relu| ConvSpec { kernel, stride, padding, relu };
    let case = |spec, channels, size| Case { spec, channels, size };
    vec![
        case(ConvSpec::same([3, 3]), [32, 32], [16, 16]),
        case(ConvSpec::same([3, 3]), [7, 19], [5, 9]),
        case(ConvSpec::same([3, 3]), [48, 80], [4, 4]),
        case(spec([3, 3], 1, [0, 0], true), [20, 33], [9, 11]),
        case(spec([3, 3], 2, [1, 1], false), [16, 48], [8, 8]),
        case(spec([3, 3], 2, [0, 0], true), [3, 32], [17, 19]),
        case(ConvSpec::POINT, [70, 96], [6, 5]),
        case(ConvSpec::same([1, 7]), [16, 16], [17, 17]),
        case(ConvSpec::same([7, 1]), [17, 35], [17, 3]),
        case(ConvSpec::same([1, 3]), [33, 16], [8, 6]),
        case(ConvSpec::same([3, 1]), [16, 64], [5, 8]),
        case(ConvSpec::same([5, 5]), [48, 64], [7, 35]),
    ]
}

#[test]
fn every_shape_on_every_instruction_set() {
    for Case { spec, channels: [input, output], size } in cases() {
        let mut numbers = Numbers(1);
        let fan = (input * spec.kernel[0] * spec.kernel[1]) as f32;
        let weight = numbers.take(output * input * spec.kernel[0] * spec.kernel[1], fan.sqrt().recip());
        let (bias, x) = (numbers.take(output, 1.0), numbers.take(2 * input * size[0] * size[1], 1.0));
        let (from, to) = (Channels::dense(input), Channels::dense(output));
        for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
            let conv = Conv::new(spec, &weight, &bias, [&from, &to], algorithm);
            let mut all = Vec::new();
            for level in Level::all() {
                let planes = into_planes(&x, 2, &from, size, spec.padding);
                let shape = conv.shape(planes.shape());
                let expected = conv2d(&x, &weight, &bias, [input, output], size, spec);
                let add = numbers.take(2 * output * shape.height * shape.width, 1.0);
                let added = into_planes(&add, 2, &to, [shape.height, shape.width], [0, 0]);
                let mut scratch = Scratch::new(level);
                for added in [None, Some(&added)] {
                    let mut out = Planes::new(2, shape.bordered([1, 2]));
                    conv.run(&planes, Target::from(&mut out), added.map(Into::into), &mut scratch);
                    let found = from_planes(&out, &to);
                    let expected: Vec<f64> = match added {
                        // The activation comes last.
                        Some(_) if spec.relu => continue,
                        Some(_) => expected.iter().zip(&add).map(|(a, b)| a + f64::from(*b)).collect(),
                        None => expected.clone(),
                    };
                    let error = relative_rms(&found, &expected);
                    // Measured: direct at most 2e-7, Winograd 1.5e-6.
                    let bound = if algorithm == Algorithm::Direct { 1e-6 } else { 8e-6 };
                    assert!(
                        error < bound,
                        "{spec:?} {input}->{output} {size:?} {} {algorithm:?}: {error:e}",
                        level.name()
                    );
                    if added.is_none() {
                        all.push((level, found));
                    }
                }
            }
            // Fused instruction sets agree to the bit, whatever their width.
            let fused: Vec<_> = all.iter().filter(|(level, _)| level.is_fused()).collect();
            for pair in fused.windows(2) {
                assert!(pair[0].1 == pair[1].1, "{} and {}", pair[0].0.name(), pair[1].0.name());
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
        let conv = Conv::new(ConvSpec::same([3, 3]), &weight, &bias, [&from, &to], algorithm);
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
            Conv::new(ConvSpec::same([3, 3]), &weight, &bias, [&from, &to], Algorithm::Fastest)
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
