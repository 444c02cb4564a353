//! Position embeddings for another number of patches than the table has.

/// Added to the number of patches a side before the scale is taken, in the authors' DINOv2 without registers; transformers has
/// none, and features of the two differ.
const OFFSET: f64 = 0.1;
/// Of PyTorch's bicubic interpolation, which is not that of its or Pillow's antialiased one.
const A: f64 = -0.75;

/// Weights of the four points around one that lies t behind the second (Keys 1981).
fn weights(t: f64) -> [f64; 4] {
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

/// Points and weights of each of `to` outputs on a line of `from`.
fn line(from: usize, to: usize) -> Vec<[(usize, f64); 4]> {
    let scale = from as f64 / (to as f64 + OFFSET);
    let of = |index: usize| {
        let at = (index as f64 + 0.5) * scale - 0.5;
        let (whole, weights) = (at.floor() as i64, weights(at - at.floor()));
        // Beyond an edge stands the edge.
        [0, 1, 2, 3].map(|k| ((whole - 1 + k as i64).clamp(0, from as i64 - 1) as usize, weights[k]))
    };
    (0..to).map(of).collect()
}

/// A table `[from², width]` as one `[to², width]`: bicubic without antialiasing, as `interpolate_pos_encoding` of the authors' DINOv2.
pub(super) fn interpolated(table: &[f32], from: usize, to: usize, width: usize) -> Vec<f32> {
    if from == to {
        return table.to_vec();
    }
    let points = line(from, to);
    let mut values = Vec::with_capacity(to * to * width);
    for (rows, columns) in points.iter().flat_map(|rows| points.iter().map(move |columns| (rows, columns))) {
        let mut sums = vec![0.0; width];
        for ((y, down), (x, across)) in rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column))) {
            let at = (y * from + x) * width;
            sums.iter_mut()
                .zip(&table[at..at + width])
                .for_each(|(sum, &value)| *sum += down * across * f64::from(value));
        }
        values.extend(sums.into_iter().map(|sum| sum as f32));
    }
    values
}
