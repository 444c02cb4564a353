//! Speed of single layers: `layers CHANNELS OUTPUTS SIDE IMAGES`.
use std::time::Instant;

use fewstep_conv::{Algorithm, Channels, Conv, ConvSpec, Level, Planes, Scratch, Shape, Target};

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [input, output, side, images, kh, kw] = given[..] else { return };
    let (from, to) = (Channels::dense(input), Channels::dense(output));
    let weight: Vec<f32> = (0..output * input * kh * kw).map(|i| (i % 17) as f32 / 100.0 - 0.08).collect();
    let bias = vec![0.5; output];
    let spec = ConvSpec::same([kh, kw]);
    for level in Level::all().into_iter().take(2) {
        for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
            let conv = Conv::new(spec, &weight, &bias, [&from, &to], algorithm);
            let x = Planes::new(images, Shape::new(from.blocks(), side, side).bordered(spec.padding));
            let mut out = Planes::new(images, conv.shape(x.shape()));
            let mut scratch = Scratch::new(level);
            let (mut best, start) = (f64::MAX, Instant::now());
            while start.elapsed().as_secs_f64() < 0.7 {
                let t = Instant::now();
                conv.run(&x, Target { out: &mut out, block: 0 }, None, &mut scratch);
                best = best.min(t.elapsed().as_secs_f64());
            }
            let work = 2.0 * (images * input * output * kh * kw * side * side) as f64;
            println!("{:8} {algorithm:?}: {:.3} ms, {:.1} GFLOP/s", level.name(), best * 1e3, work / best / 1e9);
        }
    }
}
