//! Centre crop and area resize, as LSUN's images are brought to 64×64.

/// The centre square of 8-bit RGB `[height, width, 3]`, resized to `size`×`size`: every pixel is the mean over the area
/// that it covers, pixels in part weighted by it (OpenCV's INTER_AREA), rounded half to even.
pub(crate) fn centre(pixels: &[u8], height: usize, width: usize, size: usize) -> Vec<u8> {
    let side = height.min(width);
    let (top, left) = ((height - side) / 2, (width - side) / 2);
    let spans: Vec<Vec<(usize, f64)>> = (0..size).map(|i| span(i, side, size)).collect();
    let mut out = Vec::with_capacity(size * size * 3);
    for rows in &spans {
        for columns in &spans {
            let mut sums = [0.0; 3];
            for &(row, row_share) in rows {
                for &(column, column_share) in columns {
                    let at = ((top + row) * width + left + column) * 3;
                    let share = row_share * column_share;
                    sums.iter_mut().zip(&pixels[at..at + 3]).for_each(|(sum, &value)| *sum += share * f64::from(value));
                }
            }
            out.extend(sums.map(|sum| sum.round_ties_even() as u8));
        }
    }
    out
}

/// Which of `side` pixels the `i`th of `size` covers, and what share each has of it.
fn span(i: usize, side: usize, size: usize) -> Vec<(usize, f64)> {
    let scale = side as f64 / size as f64;
    let (start, end) = (i as f64 * scale, (i + 1) as f64 * scale);
    // Whole numbers, so that rounding cannot reach past the edge: i · side / size.
    let (first, last) = (i * side / size, ((i + 1) * side).div_ceil(size).min(side));
    (first..last)
        .map(|k| (k, ((k + 1) as f64).min(end) - (k as f64).max(start)))
        .filter(|&(_, share)| share > 1e-12)
        .map(|(k, share)| (k, share / scale))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_taken_and_areas_are_averaged() {
        // 4 rows, 6 columns: columns 1 to 4 count.
        let pixels: Vec<u8> = (0..24).flat_map(|i| [10 * (i / 6) as u8, 7 * (i % 6) as u8, 200]).collect();
        // 2×2 blocks of rows 0, 1 and 2, 3 and of columns 1, 2 and 3, 4: means 5 and 25, 10.5 and 24.5, half to even.
        assert_eq!(centre(&pixels, 4, 6, 2), [5, 10, 200, 5, 24, 200, 25, 10, 200, 25, 24, 200]);
        assert_eq!(centre(&pixels, 4, 6, 4)[..6], [0, 7, 200, 0, 14, 200]);
    }

    #[test]
    fn shares_sum_to_one_and_cover_every_pixel_alike() {
        for (side, size) in [(256, 64), (250, 64), (333, 64), (65, 64), (3, 64), (64, 64)] {
            let spans: Vec<_> = (0..size).map(|i| span(i, side, size)).collect();
            let mut weight = vec![0.0; side];
            for part in &spans {
                assert!((part.iter().map(|part| part.1).sum::<f64>() - 1.0).abs() < 1e-9);
                part.iter().for_each(|&(k, share)| weight[k] += share);
            }
            assert!(weight.iter().all(|w| (w - size as f64 / side as f64).abs() < 1e-9), "{side} to {size}");
        }
    }
}
