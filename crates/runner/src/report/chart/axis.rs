//! One axis of a chart: its range, and what is labelled.

/// Values beyond this are left out: ranges around them would overflow.
const LARGEST: f64 = 1e150;
/// About as many labels as an axis has.
const LABELS: f64 = 9.0;
/// Positions are labelled themselves where a logarithmic axis has no more of them.
const FEW: usize = 12;

/// Values from one end of a chart to the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

/// Whether an axis has a place for `value`.
pub fn places(value: f64, log: bool) -> bool {
    value.abs() <= LARGEST && (!log || value >= 1.0 / LARGEST)
}

impl Axis {
    /// Of the values that it has places for; of anything without one.
    pub fn of(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let values = values.filter(|&value| places(value, log));
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = match (low > high, log) {
            (true, true) => (0.1, 1.0),
            (true, false) => (0.0, 1.0),
            // A range of nothing, or of rounding, has no ticks.
            (false, true) if high / low < 1.0 + 1e-9 => (low / 1.5, high * 1.5),
            (false, false) if high - low <= 1e-9 * low.abs().max(high.abs()) => {
                let room = if high == 0.0 { 1.0 } else { 0.1 * high.abs() };
                (low - room, high + room)
            }
            _ => (low, high),
        };
        Axis { low, high, log }
    }

    /// Stretched by shares of its length, below and above.
    pub fn stretched(&self, below: f64, above: f64) -> Self {
        let (low, high) = if self.log {
            let decades = self.high.log10() - self.low.log10();
            (self.low * 10f64.powf(-below * decades), self.high * 10f64.powf(above * decades))
        } else {
            (self.low - below * (self.high - self.low), self.high + above * (self.high - self.low))
        };
        Axis { low, high, log: self.log }
    }

    /// Its lowest value.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// 0 at its lower end, 1 at its upper end; those for values beyond.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// Values to label, and their labels. `values` are those that are drawn: few of them are themselves labelled on a logarithmic
    /// axis, and whole ones have no fractions between them.
    pub fn ticks(&self, values: &[f64]) -> Vec<(f64, String)> {
        if !self.log {
            return self.steps(values.iter().all(|value| value.fract() == 0.0) && !values.is_empty());
        }
        let mut few: Vec<f64> = values.iter().copied().filter(|&value| places(value, true)).collect();
        few.sort_by(f64::total_cmp);
        few.dedup();
        let values = if (2..=FEW).contains(&few.len()) { few } else { decades((self.low, self.high)) };
        if values.len() < 2 {
            return Axis { log: false, ..self.clone() }.steps(false);
        }
        values.into_iter().map(|value| (value, plain(value))).collect()
    }

    /// Multiples of a round number.
    fn steps(&self, whole: bool) -> Vec<(f64, String)> {
        let (mantissa, power) = match round_above((self.high - self.low) / LABELS) {
            (_, power) if whole && power < 0 => (1.0, 0),
            step => step,
        };
        let step = mantissa * 10f64.powi(power);
        let exponents = self.low.abs().max(self.high.abs()) >= 1e6 || power < -4;
        let label = |value: f64| match value {
            0.0 => "0".to_owned(),
            _ if exponents => exponent(value, (value.abs().log10() + 1e-9).floor() as i32 - power),
            _ => format!("{value:.*}", (-power).max(0) as usize),
        };
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        (first..=last).map(|i| i as f64 * step).map(|value| (value, minus(&label(value)))).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `least`: mantissa and power.
fn round_above(least: f64) -> (f64, i32) {
    let power = least.log10().floor() as i32;
    let enough = |mantissa: &f64| mantissa * 10f64.powi(power) >= least;
    [1.0, 2.0, 5.0].into_iter().find(enough).map_or((1.0, power + 1), |mantissa| (mantissa, power))
}

/// Values to label between two positive ones: more per decade where there are fewer decades, none where steps will do.
fn decades((low, high): (f64, f64)) -> Vec<f64> {
    let (from, to) = (low.log10(), high.log10());
    let mantissas: &[f64] = match to - from {
        // A range this narrow is almost linear.
        d if d < 0.4 => &[],
        d if d < 1.2 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
        d if d < 3.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let every = ((to - from) / 14.0).ceil().max(1.0) as i32;
    let powers = (from.floor() as i32..=to.ceil() as i32).filter(|power| power % every == 0);
    let all = powers.flat_map(|power| mantissas.iter().map(move |mantissa| mantissa * 10f64.powi(power)));
    all.filter(|value| (low..=high).contains(value)).collect()
}

/// A number without needless digits.
pub fn plain(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        return minus(&exponent(value, 3));
    }
    minus(trimmed(&format!("{value:.6}")))
}

/// With an exponent, and at most so many decimals.
fn exponent(value: f64, decimals: i32) -> String {
    let text = format!("{value:.*e}", decimals.clamp(0, 15) as usize);
    text.split_once('e').map_or(text.clone(), |(mantissa, power)| format!("{}e{power}", trimmed(mantissa)))
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn minus(number: &str) -> String {
    number.strip_prefix('-').map_or_else(|| number.to_owned(), |rest| format!("−{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, values: &[f64]) -> Vec<String> {
        axis.ticks(values).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn every_range_has_labels() {
        let ranges = [
            (1.35, 5.2),
            (74.0, 360.0),
            (0.0095, 0.41),
            (0.1, 0.11),
            (0.3, 120.0),
            (1e-9, 1.0),
            (1e-150, 1e150),
            (2.1, 2.9),
            (5.0, 5.0 + 1e-7),
        ];
        for (low, high) in ranges {
            for log in [true, false] {
                let axis = Axis::of([low, high].into_iter(), log);
                let labels = labels(&axis, &[]);
                assert!((2..=25).contains(&labels.len()), "{low} to {high}, log {log}: {labels:?}");
                let mut distinct = labels.clone();
                distinct.dedup();
                assert_eq!(labels, distinct);
            }
        }
        assert_eq!(decades((1.35, 5.2)), [1.5, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn labels_are_round_and_signed() {
        assert_eq!(labels(&Axis::of([-7.0, 3.0].into_iter(), false), &[]), ["−6", "−4", "−2", "0", "2"]);
        assert_eq!(labels(&Axis::of([-1e-6, 1e-6].into_iter(), false), &[])[0], "−1e-6");
        assert_eq!(labels(&Axis::of([5.0, 7.0].into_iter(), false), &[5.0, 7.0]), ["5", "6", "7"]);
        assert_eq!(labels(&Axis::of([5.0, 7.0].into_iter(), true), &[5.0, 7.0]), ["5", "7"]);
        // 3 × 10⁻⁵ is not the nearest number to 3e-5.
        assert_eq!([3.0 * 10f64.powi(-5), 0.25, -2e7, 0.0].map(plain), ["3e-5", "0.25", "−2e7", "0"]);
    }

    #[test]
    fn shares_stay_within_the_axis() {
        let axis = Axis::of([1.0, 100.0, 0.0, -5.0, f64::NAN, f64::INFINITY].into_iter(), true);
        assert_eq!([1.0, 10.0, 100.0, 1e9].map(|value| axis.share(value)), [0.0, 0.5, 1.0, 1.0]);
        let stretched = Axis::of([1e-150, 1e150].into_iter(), true).stretched(0.1, 0.45);
        assert!(stretched.low > 0.0 && stretched.high.is_finite());
        for (values, log) in [(&[][..], true), (&[], false), (&[0.0], true), (&[3.0], false), (&[3.0], true)] {
            let share = Axis::of(values.iter().copied(), log).share(3.0);
            assert!((0.0..=1.0).contains(&share), "{values:?}: {share}");
        }
    }
}
