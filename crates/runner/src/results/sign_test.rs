//! On how many images one method is closer than another, and whether that is chance.

use super::{folder::Folder, metric::Metric, record::Record, series::labels};

/// Images of two methods from the same noise, compared one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wins {
    /// The first is closer.
    pub won: u64,
    /// The second is.
    pub lost: u64,
    /// Neither.
    pub tied: u64,
}

impl Wins {
    /// Of squared distances, image by image.
    pub fn of(first: &[f64], second: &[f64]) -> Self {
        first.iter().zip(second).fold(Wins::default(), |mut wins, (a, b)| {
            *match a.total_cmp(b) {
                std::cmp::Ordering::Less => &mut wins.won,
                std::cmp::Ordering::Greater => &mut wins.lost,
                std::cmp::Ordering::Equal => &mut wins.tied,
            } += 1;
            wins
        })
    }

    /// Of the methods with these labels at `nfe`, over the seeds that both have; none where no image is in both, and none of a Fréchet distance, of
    /// which images have influences and no distances of their own.
    pub fn between(folder: &Folder, metric: Metric, [first, second]: [&str; 2], nfe: u32) -> Option<Self> {
        if metric.is_frechet() {
            return None;
        }
        let named = labels(&folder.records);
        let of = |label: &str| -> Vec<&Record> {
            let cells = folder.records.iter().zip(&named);
            let here = cells.filter(|(record, name)| record.nfe == nfe && *name == label && !record.is_solution());
            here.map(|(record, _)| record).collect()
        };
        let squares = |record: &Record| folder.per_image.get(&(record.cell(), metric));
        let (first, second) = (of(first), of(second));
        let pairs = first.iter().filter_map(|a| Some((a, second.iter().find(|b| b.seed == a.seed)?)));
        let pairs = pairs.filter_map(|(a, b)| Some(Wins::of(squares(a)?, squares(b)?)));
        let all = pairs.fold(Wins::default(), |all, wins| Wins {
            won: all.won + wins.won,
            lost: all.lost + wins.lost,
            tied: all.tied + wins.tied,
        });
        (all != Wins::default()).then_some(all)
    }

    /// Part of the images, ties left out, on which the first is closer.
    pub fn rate(&self) -> f64 {
        self.won as f64 / (self.won + self.lost).max(1) as f64
    }

    /// The exact two-sided sign test, ties left out: with what probability a fair coin is at least as one-sided,
    /// min(1, 2·P(X ≤ min(won, lost))) of X ~ Binomial(won + lost, ½).
    pub fn p(&self) -> f64 {
        let (n, least) = (self.won + self.lost, self.won.min(self.lost));
        if 2 * least == n {
            return 1.0;
        }
        // ln C(n, least) − n ln 2, and from there down by the ratio of neighbours.
        let ln = (1..=least).map(|k| ((n - least + k) as f64 / k as f64).ln()).sum::<f64>();
        let ln = ln - n as f64 * std::f64::consts::LN_2;
        let (mut sum, mut term) = (0.0, 1.0);
        for k in (0..=least).rev() {
            sum += term;
            term *= k as f64 / (n - k + 1) as f64;
        }
        (2.0 * (ln + f64::ln(sum)).exp()).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of scipy.stats.binomtest(won, won + lost).pvalue, SciPy 1.17.1.
    #[test]
    fn probabilities_are_scipys() {
        let figures = [
            (1, 0, 1.0),
            (3, 1, 0.625),
            (10, 2, 0.03857421875),
            (51, 49, 0.9204107626128221),
            (50, 50, 1.0),
            (1100, 900, 8.45708953550381e-06),
            (1300, 700, 1.6293497027602653e-41),
            (26000, 24000, 3.857469951030655e-19),
        ];
        for (won, lost, expected) in figures {
            let p = Wins { won, lost, tied: 3 }.p();
            assert!((p / expected - 1.0).abs() < 1e-10, "{won} {lost}: {p} {expected}");
            assert_eq!(p, Wins { won: lost, lost: won, tied: 0 }.p());
        }
    }

    #[test]
    fn ties_are_left_out() {
        let wins = Wins::of(&[1.0, 2.0, 3.0, 0.0], &[1.0, 3.0, 2.5, 0.0]);
        assert_eq!((wins, wins.rate(), wins.p()), (Wins { won: 1, lost: 1, tied: 2 }, 0.5, 1.0));
        assert_eq!(Wins { tied: 4, ..Wins::default() }.p(), 1.0);
    }
}
