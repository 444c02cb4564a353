//! A measured cell: one row of `cells.csv`.

use fewstep_fid::Protocol;
use fewstep_sampler::{Method, Threshold};
use serde::{Deserialize, Serialize};

use super::metric::{Features, Metric};

/// [`Record::solver`] of the rows that say how far the many-step solution itself can be believed: its own samples' Fréchet
/// distances, below which a method's are its bias, and as `ode_rmse` its distance to a solution with twice the evaluations.
pub const SOLUTION: &str = "solution";

/// One row of `cells.csv`. What has a default is not there in tables of the first builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Experiment's name.
    pub experiment: String,
    /// The method's name in experiment files.
    pub method: String,
    /// Its name in tables and charts.
    #[serde(default)]
    pub label: String,
    /// The solver's name: the method's without score normalisation.
    #[serde(default)]
    pub solver: String,
    /// The order in its name; 0 where there is none.
    pub order: u32,
    /// Whether it runs on ε/r.
    #[serde(default)]
    pub normalised: bool,
    /// Its grid.
    pub grid: String,
    /// How its integrals were computed.
    pub coefficients: String,
    /// What was done to its data predictions.
    #[serde(default)]
    pub threshold: String,
    /// Evaluations asked for.
    pub nfe: u32,
    /// Evaluations per image that the model counted; empty where the run diverged.
    pub nfe_measured: Option<f64>,
    /// Seed of the noise.
    pub seed: u64,
    /// Number of images.
    pub samples: u64,
    /// How images were shown to Inception, by name; empty where nothing was measured in its features.
    #[serde(default)]
    pub protocol: String,
    /// Empty where not measured.
    pub fid: Option<f64>,
    /// Its standard error over the images, to first order.
    #[serde(default)]
    pub fid_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fid_infinity: Option<f64>,
    /// Standard error over the images.
    #[serde(default)]
    pub fid_infinity_error: Option<f64>,
    /// Standard error of the line's end.
    #[serde(default)]
    pub fid_infinity_fit: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fid_solution: Option<f64>,
    /// Its standard error over the images of both sets, to first order.
    #[serde(default)]
    pub fid_solution_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fid_paired: Option<f64>,
    /// Likewise.
    #[serde(default)]
    pub fid_paired_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub feature_rmse: Option<f64>,
    /// Its standard error over the images.
    #[serde(default)]
    pub feature_rmse_error: Option<f64>,
    /// Empty where not measured.
    pub fd_pixel: Option<f64>,
    /// Its standard error over the images, to first order.
    #[serde(default)]
    pub fd_pixel_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fd_pixel_solution: Option<f64>,
    /// Its standard error over the images of both sets, to first order.
    #[serde(default)]
    pub fd_pixel_solution_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fd_vit: Option<f64>,
    /// Its standard error over the images, to first order.
    #[serde(default)]
    pub fd_vit_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fd_vit_solution: Option<f64>,
    /// Its standard error over the images of both sets, to first order.
    #[serde(default)]
    pub fd_vit_solution_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fd_vit_paired: Option<f64>,
    /// Likewise.
    #[serde(default)]
    pub fd_vit_paired_error: Option<f64>,
    /// Empty where not measured.
    #[serde(default)]
    pub fd_data: Option<f64>,
    /// Empty where not measured.
    pub ode_rmse: Option<f64>,
    /// Its standard error over the images.
    #[serde(default)]
    pub ode_rmse_error: Option<f64>,
    /// Which image was not finite from which step on; empty where all were.
    #[serde(default)]
    pub diverged: String,
    /// Time in the sampler, all threads' work divided by their number; without what was known already. Of equal plans, the one run's.
    pub seconds_sample: f64,
    /// Time in feature extractors and distances, likewise.
    pub seconds_features: f64,
    /// Where it was computed.
    pub device: String,
    /// The commit of the program's sources, with `-dirty` where they differed from it.
    #[serde(default)]
    pub build: String,
    /// Hash of everything that the samples depend on.
    #[serde(default)]
    pub key: String,
}

impl Record {
    /// The value of a metric.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Fid => self.fid,
            Metric::FidInfinity => self.fid_infinity,
            Metric::FidSolution => self.fid_solution,
            Metric::FidPaired => self.fid_paired,
            Metric::FeatureRmse => self.feature_rmse,
            Metric::FdPixelSolution => self.fd_pixel_solution,
            Metric::FdPixel => self.fd_pixel,
            Metric::FdVit => self.fd_vit,
            Metric::FdVitSolution => self.fd_vit_solution,
            Metric::FdVitPaired => self.fd_vit_paired,
            Metric::FdData => self.fd_data,
            Metric::OdeRmse => self.ode_rmse,
        }
    }

    /// Sets the value of a metric, and its standard error over the images.
    pub fn set(&mut self, metric: Metric, value: Option<f64>, error: Option<f64>) {
        match metric {
            Metric::Fid => self.fid_error = error,
            Metric::FidInfinity => self.fid_infinity_error = error,
            Metric::FidSolution => self.fid_solution_error = error,
            Metric::FidPaired => self.fid_paired_error = error,
            Metric::FeatureRmse => self.feature_rmse_error = error,
            Metric::FdPixel => self.fd_pixel_error = error,
            Metric::FdPixelSolution => self.fd_pixel_solution_error = error,
            Metric::FdVit => self.fd_vit_error = error,
            Metric::FdVitSolution => self.fd_vit_solution_error = error,
            Metric::FdVitPaired => self.fd_vit_paired_error = error,
            Metric::FdData => {}
            Metric::OdeRmse => self.ode_rmse_error = error,
        }
        *match metric {
            Metric::Fid => &mut self.fid,
            Metric::FidInfinity => &mut self.fid_infinity,
            Metric::FidSolution => &mut self.fid_solution,
            Metric::FidPaired => &mut self.fid_paired,
            Metric::FeatureRmse => &mut self.feature_rmse,
            Metric::FdPixelSolution => &mut self.fd_pixel_solution,
            Metric::FdPixel => &mut self.fd_pixel,
            Metric::FdVit => &mut self.fd_vit,
            Metric::FdVitSolution => &mut self.fd_vit_solution,
            Metric::FdVitPaired => &mut self.fd_vit_paired,
            Metric::FdData => &mut self.fd_data,
            Metric::OdeRmse => &mut self.ode_rmse,
        } = value;
    }

    /// Whether anything was measured in Inception's features.
    pub fn is_in_inception(&self) -> bool {
        let measured = |metric: &Metric| self.metric(*metric).is_some();
        Metric::ALL.iter().filter(|metric| metric.features() == Some(Features::Inception)).any(measured)
    }

    /// Whether this is the solution itself and no method.
    pub fn is_solution(&self) -> bool {
        self.solver == SOLUTION
    }

    /// What tells this cell from the others of its experiment. Its key does not: two cells may be one plan.
    pub fn cell(&self) -> String {
        let Record { method, order, grid, coefficients, threshold, nfe, seed, .. } = self;
        format!("{method} {order}, {grid}, {coefficients}, {threshold}, {nfe} NFE, seed {seed}")
    }

    /// Why this is no row of a measured cell, where it is none.
    pub fn flaw(&self) -> Option<String> {
        if self.method.is_empty() || (self.nfe == 0 && !self.is_solution()) {
            return Some("a row without a method or nfe".into());
        }
        let metric = |metric: Metric| Some((metric.name(), self.metric(metric)?));
        let others = [
            ("fid_error", self.fid_error),
            ("fid_infinity_error", self.fid_infinity_error),
            ("fid_infinity_fit", self.fid_infinity_fit),
            ("fid_solution_error", self.fid_solution_error),
            ("fid_paired_error", self.fid_paired_error),
            ("feature_rmse_error", self.feature_rmse_error),
            ("fd_pixel_error", self.fd_pixel_error),
            ("fd_pixel_solution_error", self.fd_pixel_solution_error),
            ("fd_vit_error", self.fd_vit_error),
            ("fd_vit_solution_error", self.fd_vit_solution_error),
            ("fd_vit_paired_error", self.fd_vit_paired_error),
            ("ode_rmse_error", self.ode_rmse_error),
            ("nfe_measured", self.nfe_measured),
        ];
        let others = others.into_iter().filter_map(|(name, value)| Some((name, value?)));
        // The end of a line may lie below 0.
        let is_limit = |name: &str| name == Metric::FidInfinity.name();
        let wrong = |name: &str, value: f64| !(0.0..1e12).contains(&if is_limit(name) { value.abs() } else { value });
        let mut numbers = Metric::ALL.into_iter().filter_map(metric).chain(others);
        let (name, value) = numbers.find(|(name, value)| wrong(name, *value))?;
        Some(format!("{name} is {value}; expected a number from 0 on"))
    }

    /// Fills in what tables of the first builds left to the method's name, and the protocol, of which earlier versions had one.
    pub(super) fn complete(mut self) -> Self {
        if self.label.is_empty() {
            let named = Method::all().into_iter().find(|m| m.name() == self.method && m.order() == self.order as usize);
            self.label = named.map_or_else(|| self.method.clone(), Method::label);
            self.normalised = named.is_some_and(|method| method.normalise);
            self.solver = named.map_or_else(|| self.method.clone(), |method| method.solver.traits().name);
        }
        if self.threshold.is_empty() {
            self.threshold = Threshold::None.to_string();
        }
        if self.protocol.is_empty() && self.is_in_inception() {
            self.protocol = Protocol::default().name().into();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_file_to_the_last_bit() {
        for seconds in [0.1 + 0.2, 1.5563422900000001, 1.0 / 3.0, 2.5e-17, 1e300] {
            let record = Record {
                method: "deis".into(),
                nfe_measured: Some(5.0),
                fd_pixel: Some(seconds * 1.1),
                ode_rmse: Some(seconds),
                seconds_sample: seconds,
                ..Record::default()
            };
            let text = toml::to_string(&record).unwrap();
            assert_eq!(toml::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
    }

    #[test]
    fn tables_of_version_0_1_are_completed_from_the_methods_name() {
        let old = Record { method: "deis-sn".into(), order: 2, ..Record::default() }.complete();
        assert_eq!((old.label.as_str(), old.solver.as_str(), old.normalised), ("DEIS-SN-2", "deis", true));
        assert_eq!((old.threshold.as_str(), old.protocol.as_str()), ("none", ""));
        let with_fid = Record { fid_solution: Some(3.0), ..Record::default() };
        assert_eq!(with_fid.clone().complete().protocol, "pytorch-fid");
        assert_eq!(Record { protocol: "clean".into(), ..with_fid }.complete().protocol, "clean");
    }
}
