use super::*;
use crate::{cell::key, results::Metric};

/// Two spaces of 2 and 3 numbers, samples of 4, pictures of 5 pixels, two images of them.
fn parts(own: &Path, others: &[PathBuf]) -> Parts {
    let key = key::parts(&key::frechet_to_data("samples").unwrap(), &[(Metric::Fid, "a")]).unwrap();
    Parts::new(key, own, others, widths())
}

fn widths() -> Widths {
    Widths { spaces: vec![2, 3], x: 4, pictured: (5, 2) }
}

fn part(images: Range<usize>) -> Part {
    let numbers = |width: usize, shift: f32| images.clone().flat_map(|k| vec![k as f32 + shift; width]).collect();
    Part {
        rows: Rows {
            features: vec![(numbers(2, 0.25), 1.0), (numbers(3, 0.5), 2.0)],
            x: numbers(4, -1.0),
            squared: images.clone().map(|k| 1.0 / (k + 3) as f64).collect(),
        },
        pictured: images.clone().filter(|&k| k < 2).flat_map(|k| [k as u8 + 7; 5]).collect(),
        evaluated: 10 * images.len() as u64,
        seconds: 0.5,
        images,
    }
}

#[test]
fn what_is_kept_comes_back_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(folder.path(), &[]);
    for images in [0..1, 1..4] {
        parts.add(part(images)).unwrap();
    }
    assert_eq!(parts.find(&(0..9)), []);
    parts.keep().unwrap();
    parts.add(part(6..7)).unwrap();
    parts.keep().unwrap();
    parts.keep().unwrap();
    let found = parts.find(&(0..9));
    let read: Vec<Part> =
        found.iter().map(|(folder, images)| parts.read(folder, images.clone()).unwrap().unwrap()).collect();
    let whole = part(0..4);
    let features = vec![(whole.rows.features[0].0.clone(), 2.0), (whole.rows.features[1].0.clone(), 4.0)];
    assert_eq!(read, [Part { rows: Rows { features, ..whole.rows }, seconds: 1.0, ..whole }, part(6..7)]);
    parts.remove().unwrap();
    assert_eq!(parts.find(&(0..9)), []);
}

#[test]
fn no_image_is_taken_twice_and_none_of_another_cell() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (folder, all) in [(&one, vec![0..2, 2..4, 8..9]), (&other, vec![0..3, 3..5, 6..8])] {
        for images in all {
            let mut parts = parts(folder.path(), &[]);
            parts.add(part(images)).unwrap();
            parts.keep().unwrap();
        }
    }
    let out = tempfile::tempdir().unwrap();
    let both = parts(out.path(), &[one.path().to_owned(), other.path().to_owned()]);
    let ranges = |images: Range<usize>| both.find(&images).into_iter().map(|(_, images)| images).collect::<Vec<_>>();
    assert_eq!(ranges(0..9), [0..3, 3..5, 6..8, 8..9]);
    assert_eq!(ranges(1..8), [2..4, 6..8]);
    let key = key::parts(&key::frechet_to_data("samples").unwrap(), &[(Metric::Fid, "b")]).unwrap();
    let another = Parts::new(key, one.path(), &[], widths());
    assert_eq!(another.find(&(0..9)), []);
}

#[test]
fn what_was_changed_or_has_other_numbers_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(folder.path(), &[]);
    parts.add(part(0..4)).unwrap();
    parts.keep().unwrap();
    let (at, images) = parts.find(&(0..4)).remove(0);
    let narrower = Parts::new(parts.key.clone(), folder.path(), &[], Widths { x: 0, ..widths() });
    assert_eq!(narrower.read(&at, images.clone()).unwrap(), None);
    assert!(parts.read(&at, images.clone()).unwrap().is_some());
    let file =
        at.read_dir().unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().unwrap() == "f32");
    let mut bytes = std::fs::read(file.as_ref().unwrap()).unwrap();
    bytes[3] ^= 1;
    std::fs::write(file.unwrap(), bytes).unwrap();
    assert_eq!(parts.read(&at, images).unwrap(), None);
}

#[test]
fn a_part_that_diverged_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut parts = parts(folder.path(), &[]);
    parts.add(part(4..5)).unwrap();
    parts.diverged(4..9, 6, 2).unwrap();
    let (at, images) = parts.find(&(0..9)).remove(0);
    assert_eq!(images, 4..9);
    assert!(matches!(parts.read(&at, images), Err(Failure::Diverged { image: 6, step: 2, .. })));
}
