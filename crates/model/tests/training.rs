//! Training: that it learns, and that a resumed run is the same run.

use burn::tensor::Device;
use fewstep_model::{
    Checkpoint, Conditioning, Levels, Prediction, Rate, Step, TrainSpec, Trainer, TrainingImages, UNetConfig,
};

const SIZE: usize = 8;

fn levels() -> Levels {
    // Near the linear schedule's ᾱ.
    Levels { count: 1000, alpha_bar: Box::new(|tau| (-0.1 * tau - 9.95 * tau * tau).exp()) }
}

fn spec(prediction: Prediction) -> TrainSpec {
    TrainSpec {
        config: UNetConfig {
            model_channels: 32,
            channel_mult: vec![1, 1],
            num_res_blocks: 1,
            attention_ds: vec![2],
            num_heads: 2,
            dropout: 0.1,
            ..UNetConfig::default()
        },
        prediction,
        steps: 80,
        batch: 8,
        part: 3,
        learning_rate: 2e-3,
        warm_up: 5,
        rate: Rate::Cosine,
        betas: [0.9, 0.99],
        weight_decay: 0.01,
        clip_norm: Some(1.0),
        ema: 0.9,
        flip: true,
        seed: 3,
    }
}

/// Two kinds of images: dark ones and bright ones.
fn pixels() -> Vec<u8> {
    (0..20)
        .flat_map(|image| (0..SIZE * SIZE * 3).map(move |i| if image % 2 == 0 { 40 } else { 200 } + (i % 7) as u8))
        .collect()
}

fn images(pixels: &[u8]) -> TrainingImages<'_> {
    TrainingImages { pixels, size: SIZE, channels: 3 }
}

fn steps(trainer: &mut Trainer, count: usize) -> Vec<Step> {
    let pixels = pixels();
    (0..count).map(|_| trainer.step(images(&pixels), &levels()).unwrap()).collect()
}

#[test]
fn the_loss_begins_at_one_and_falls() {
    for prediction in [Prediction::Epsilon, Prediction::X0, Prediction::V] {
        let mut trainer = Trainer::new(spec(prediction), &Device::flex(), true).unwrap();
        let losses: Vec<f64> = steps(&mut trainer, 80).iter().map(|step| step.loss).collect();
        // The output begins as 0, so that the first loss is the target's mean square: 1 for the noise.
        if prediction == Prediction::Epsilon {
            assert!((losses[0] - 1.0).abs() < 0.1, "{}", losses[0]);
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&losses[..10]), mean(&losses[70..]));
        assert!(last < 0.8 * first, "{prediction:?}: {first} to {last}");
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_bytes() {
    let device = Device::flex();
    let mut whole = Trainer::new(spec(Prediction::V), &device, true).unwrap();
    let expected = steps(&mut whole, 6);

    let path = std::env::temp_dir().join(format!("fewstep-state-{}.safetensors", std::process::id()));
    let mut first = Trainer::new(spec(Prediction::V), &device, false).unwrap();
    assert_eq!(steps(&mut first, 3), expected[..3], "with and without threads");
    std::fs::write(&path, first.state("this run").unwrap()).unwrap();

    let mut second = Trainer::resume(&path, "this run", spec(Prediction::V), &device, true).unwrap();
    assert_eq!(second.step_count(), 3);
    assert_eq!(steps(&mut second, 3), expected[3..]);
    assert!(second.state("this run").unwrap() == whole.state("this run").unwrap(), "state differs");
    assert!(second.checkpoint(false).unwrap() == whole.checkpoint(false).unwrap(), "checkpoint differs");

    let other = Trainer::resume(&path, "another", spec(Prediction::V), &device, true).err().unwrap().to_string();
    assert!(other.contains("another run"), "{other}");
    let mut wider = spec(Prediction::V);
    wider.config.model_channels = 64;
    let shape = Trainer::resume(&path, "this run", wider, &device, true).err().unwrap().to_string();
    assert!(shape.contains("has shape"), "{shape}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_checkpoint_is_read_back_as_it_was() {
    let device = Device::flex();
    let mut trainer = Trainer::new(spec(Prediction::X0), &device, true).unwrap();
    steps(&mut trainer, 2);
    let path = std::env::temp_dir().join(format!("fewstep-checkpoint-{}.safetensors", std::process::id()));
    std::fs::write(&path, trainer.checkpoint(false).unwrap()).unwrap();
    let checkpoint = Checkpoint::read(&path, None, None).unwrap();
    assert_eq!(
        (&checkpoint.config, checkpoint.conditioning),
        (&spec(Prediction::X0).config, Conditioning::Time(Prediction::X0))
    );
    let read = checkpoint.build(levels(), &device).unwrap();
    let x = || {
        let values: Vec<f32> = (0..SIZE * SIZE * 3).map(|i| (i as f32 * 0.7).sin()).collect();
        burn::tensor::Tensor::<4>::from_data(burn::tensor::TensorData::new(values, [1, 3, SIZE, SIZE]), &device)
    };
    use fewstep_model::Predictor;
    let values = |epsilon: burn::tensor::Tensor<4>| epsilon.into_data().try_to_vec::<f32>().unwrap();
    let (read, trained) = (values(read.epsilon(x(), 0.3)), values(trainer.averaged(levels()).epsilon(x(), 0.3)));
    assert!(read.iter().zip(&trained).all(|(a, b)| (a - b).abs() < 1e-5));
    assert!(trained.iter().zip(x().into_data().try_to_vec::<f32>().unwrap()).any(|(a, b)| (a - b).abs() > 1e-2));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_learning_rate_rises_and_falls() {
    let spec = spec(Prediction::V);
    assert!((spec.learning_rate(0) - 2e-3 / 5.0).abs() < 1e-12);
    assert!((spec.learning_rate(40) - 1e-3).abs() < 1e-12);
    assert!((spec.learning_rate(79) - 0.02 * 2e-3).abs() < 1e-9);
    let constant = TrainSpec { rate: Rate::Constant, warm_up: 0, ..spec };
    assert_eq!((constant.learning_rate(0), constant.learning_rate(79)), (2e-3, 2e-3));
}
