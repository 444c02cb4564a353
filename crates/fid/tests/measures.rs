//! KID and the Inception Score against torch-fidelity 0.4.0, and precision, recall, density and coverage against prdc 0.2, on small random features:
//! `golden/measures.json`, made by `golden/make_measures.py`, and `golden/protocols.json`, by `golden/make_protocols.py`.

use fewstep_fid::{Subsets, inception_score, kernel_distance, manifold};

#[test]
fn measures_are_their_packages() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("golden/measures.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let rows = |name: &str| -> Vec<f32> {
            case[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
        };
        let figure = |name: &str| case[name].as_f64().unwrap();
        let (dim, nearest) = (figure("dim") as usize, figure("nearest") as usize);
        let (real, fake) = (rows("real"), rows("fake"));
        let few = real.len().min(fake.len()) / dim;
        let subsets = Subsets { count: 2, size: few, seed: 1 };
        let kid = kernel_distance(&fake[..few * dim], &real[..few * dim], dim, subsets).unwrap();
        // Another order of additions in double precision.
        assert!((kid.mean - figure("kid")).abs() < 1e-12 && kid.spread < 1e-12, "{kid:?} {}", figure("kid"));
        let found = manifold(&real, &fake, dim, nearest).unwrap();
        // Parts of whole numbers: the same but for the last bit.
        for (name, value) in [
            ("precision", found.precision),
            ("recall", found.recall),
            ("density", found.density),
            ("coverage", found.coverage),
        ] {
            assert!((value - figure(name)).abs() < 1e-14, "{name} {value} {}", figure(name));
        }
    }
}

#[test]
fn inception_scores_are_torch_fidelitys() {
    let all: serde_json::Value = serde_json::from_str(include_str!("golden/protocols.json")).unwrap();
    let cases = all["scores"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let logits: Vec<f32> =
            case["logits"].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap() as f32).collect();
        let figure = |name: &str| case[name].as_f64().unwrap();
        let found = inception_score(&logits, figure("classes") as usize, figure("splits") as usize).unwrap();
        // Another order of additions in double precision.
        assert!((found.mean - figure("mean")).abs() < 1e-12, "{found:?} {}", figure("mean"));
        assert!((found.spread - figure("std")).abs() < 1e-12, "{found:?} {}", figure("std"));
    }
}
