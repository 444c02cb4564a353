use fewstep_model::{Component, Levels, Mixture};
use fewstep_sampler::{Grid, Method, Request, Threshold};

use super::*;

/// On Gaussian pixels, 4 by 4.
pub fn sampler(reuse: Option<Reuse>) -> Sampler {
    let (schedule, size) = (Schedule::linear(), 4);
    let levels = Levels { count: schedule.levels(), alpha_bar: Box::new(|tau| Schedule::linear().alpha_bar(tau)) };
    let numbers = |value| vec![value; CHANNELS * size * size];
    let component = Component { weight: 1.0, mean: numbers(-0.1), variance: numbers(0.25) };
    let predictor = Box::new(Mixture::new(vec![component], [CHANNELS, size, size], levels).unwrap());
    Sampler { predictor, schedule, device: Device::flex(), cpu: true, size, batch: 8, rate: f64::INFINITY, reuse }
}

fn plan(sampler: &Sampler, method: Method, grid: &Grid, threshold: Threshold) -> Plan {
    method.plan(&Request { threshold, ..Request::new(&sampler.schedule, grid, 5) }).unwrap()
}

fn samples(sampler: &Sampler, plan: &Plan, seed: u64, count: usize) -> Vec<f32> {
    let mut x = Vec::new();
    let take = |_, part: Vec<f32>| {
        x.extend(part);
        Ok(())
    };
    sampler.batches((count, plan.nfe), |range| sampler.run(plan, seed, range, |_, _| {}), take).unwrap();
    x
}

#[test]
fn every_worker_has_as_many_images() {
    let workers = sampler(None).workers();
    for (samples, batch) in [(8, 16), (5 * workers + 1, 8), (64, 16), (1, 1)] {
        let sampler = Sampler { batch, ..sampler(None) };
        let mut sizes = Vec::new();
        let take = |range: Range<usize>, ()| {
            sizes.push(range.len());
            Ok(())
        };
        sampler.batches((samples, 5), |_| Ok(()), take).unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), samples);
        assert!(sizes.iter().all(|size| *size <= batch), "{sizes:?}");
        let rounds = samples.div_ceil(batch * workers);
        assert!(sizes.len() <= rounds * workers && sizes[0] == samples.div_ceil(rounds * workers), "{sizes:?}");
    }
}

#[test]
fn no_batch_takes_longer_than_a_run_may_lose() {
    // Ten evaluations a second.
    let sampler = Sampler { batch: 64, rate: 10.0, ..sampler(None) };
    for (evaluations, most) in [(1, 64), (10, 30), (60, 5), (100, 4), (500, 2), (2000, 1)] {
        let share = sampler.share(1000 * sampler.workers(), evaluations);
        assert!(share <= most && 2 * share >= most, "{share} images of {evaluations}");
    }
}

#[test]
fn first_evaluations_are_made_once_an_image_and_counted_for_every_run() {
    // There is room for those of 20 images, 48 numbers each.
    let bounded = Reuse::within(20 * 48 * 4);
    let rooms = [(None, [0; 5]), (Some(Reuse::default()), [0, 20, 30, 0, 20]), (Some(bounded), [0, 20, 20, 0, 20])];
    let mut all = Vec::new();
    for (reuse, known) in rooms {
        let sampler = sampler(reuse);
        let plan = |name, grid: &Grid, threshold| plan(&sampler, Method::new(name, None).unwrap(), grid, threshold);
        let runs = [
            (plan("ddim", &Grid::quadratic(), Threshold::None), 20, 7),
            (plan("ddpm", &Grid::quadratic(), Threshold::None), 30, 7),
            (plan("ddim", &"trailing".parse().unwrap(), Threshold::Clip), 30, 7),
            (plan("ddim", &Grid::quadratic(), Threshold::None), 20, 8),
            (plan("ddim", &Grid::quadratic(), Threshold::Clip), 20, 8),
        ];
        for ((plan, count, seed), known) in runs.into_iter().zip(known) {
            let before = (sampler.asked(), sampler.predictor.evaluated());
            all.push(samples(&sampler, &plan, seed, count));
            let (asked, made) = (sampler.asked() - before.0, sampler.predictor.evaluated() - before.1);
            assert_eq!((asked, made), (5 * count as u64, 5 * count as u64 - known));
        }
    }
    assert!(all[0..5] == all[5..10] && all[0..5] == all[10..15]);
}

#[test]
fn a_prediction_of_another_time_is_another() {
    let sampler = sampler(Some(Reuse::default()));
    let plan = |start| {
        let grid = Grid::list(vec![start, 0.5, 0.0]).unwrap();
        Method::new("ddim", None).unwrap().plan(&Request::new(&sampler.schedule, &grid, 2)).unwrap()
    };
    for (start, known) in [(1.0, 0), (0.9, 0), (1.0, 3), (0.9, 6)] {
        samples(&sampler, &plan(start), 0, 3);
        assert_eq!(sampler.reused(), known);
    }
}

#[test]
fn pixels_are_rounded_half_to_even_and_interleaved() {
    // Red, green and blue planes of a 1x2 image would not be square; a 2x2 one is.
    let x = [-2.0, -1.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 1.0 / 255.0, 3.0 / 255.0, -1.0, 1.0];
    let images = images_of(&x, 2).unwrap();
    // 0 becomes 127.5, which is even at 128.
    assert_eq!(images.pixels(), &[0, 128, 128, 0, 128, 129, 255, 128, 0, 255, 128, 255]);
    assert_eq!(levels_of(&x, 2, |level| level)[..6], [0.0, 127.5, 128.0, 0.0, 127.5, 129.0]);
}
